"""`dstream doctor`: check that everything the tasks need is installed and can be reached."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence

import click

from dstream.cli.commands.doctor_checks import ask_task, engine, state_folder
from dstream.cli.completing import task_names
from dstream.cli.confirming import confirm
from dstream.cli.options import Options, with_options
from dstream.cli.project import load_project, task_of
from dstream.cli.view.displayed import displayed
from dstream.cli.view.plan import Paint, painter
from dstream.cli.view.words import plural
from dstream.config import Project
from dstream.errors import DStreamError, exit_code
from dstream.host.provider.introductions import Introductions
from dstream.protocol.messages import Finding, Mark

_SIGNS: dict[Mark, tuple[str, str]] = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failure": ("✗", "red")}
_MACHINE = "this machine"


@click.command(
    epilog="\b\nExamples:\n  dstream doctor\n  dstream doctor orders --json\n  dstream doctor orders --offline\n"
    "  dstream doctor --install --yes"
)
@click.argument("tasks", nargs=-1, metavar="[TASK...]", shell_complete=task_names)
@click.option("--offline", is_flag=True, help="Connect to nothing: start the providers only to describe themselves.")
@click.option("--install", is_flag=True, help="Install the Pulumi engine if it is missing.")
@click.option("--yes", is_flag=True, help="Skip the confirmation prompt; required when stdin is not a terminal.")
@with_options
def doctor(tasks: Sequence[str], options: Options, *, offline: bool, install: bool, yes: bool) -> int:
    """Check that everything the tasks need is installed: engine, providers, their requirements, the state folder.

    With TASK, the providers also connect to their sources and destinations and check them, without changing anything.
    Without TASK, checks all tasks in the file and connects to nothing; without a file, checks only this machine. Exits
    with 3 if a check fails.
    """
    if install:
        _install(yes=yes)
    connect = bool(tasks) and not offline
    only = tasks if connect else ()
    project = load_project(options, only=only) if tasks or options.config or options.config_path.exists() else None
    findings = _look(project, tasks, connect=connect)
    if options.as_json:
        _show_json(findings)
    else:
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        click.echo("\n".join(findings_view(findings, painter(options.color(sys.stdout)), columns)))
    return exit_code("missing" if _count(findings, "failure") else "done")


def _look(project: Project | None, names: Sequence[str], *, connect: bool) -> Mapping[str, Sequence[Finding]]:
    """Return the findings of the machine, then of each task."""
    if project is None:
        return {_MACHINE: list(engine(is_needed=False))}
    chosen = [task_of(project, name) for name in dict.fromkeys(names or project.tasks)]
    with Introductions(project.folder) as introductions:
        asked = {task.name: ask_task(project, task, introductions, connect=connect) for task in chosen}
        of_tasks = {name: findings() for name, findings in asked.items()}
    is_needed = any(each.needs_engine for each in of_tasks.values())
    machine = [*engine(is_needed=is_needed), state_folder(project)]
    return {_MACHINE: machine, **{name: each.findings for name, each in of_tasks.items()}}


def _install(*, yes: bool) -> None:
    from dstream.infra.engine.cli import ENGINE_VERSION, find_engine, install_engine

    try:
        find_engine(os.environ)
        return  # the findings include it
    except DStreamError as error:
        missing = error
    download = f"{missing.message}\nPulumi {ENGINE_VERSION} will be downloaded from GitHub."
    confirm(download, yes, "Confirm with --yes: dstream doctor --install --yes")
    install_engine(os.environ)


def findings_view(findings: Mapping[str, Sequence[Finding]], paint: Paint, columns: int | None) -> Sequence[str]:
    """Return the lines. `columns`: of the terminal, at which texts wrap; None: no wrapping."""
    findings = displayed(findings)
    width = max(len(each.subject) for group in findings.values() for each in group)
    room = columns and max(columns - width - 8, 30)
    lines: list[str] = []
    for about, group in findings.items():
        lines += ["", about] if lines else [about]
        for each in group:
            sign, color = _SIGNS[each.mark]
            first, *rest = _folded(each.text, room) or [""]
            lines.append(f"  {paint(sign, color)} {each.subject:<{width}}   {first}")
            below = [*rest, *(paint(line, None) for line in _folded(each.fix, room))]
            lines += [f"    {'':<{width}}   {line}" for line in below]
    failures, warnings = _count(findings, "failure"), _count(findings, "warning")
    parts = [plural(failures, "failure")] * bool(failures) + [plural(warnings, "warning")] * bool(warnings)
    return [*lines, "", f"{', '.join(parts) or 'All checks passed'}."]


def _folded(text: str, columns: int | None) -> list[str]:
    if columns is None:
        return text.splitlines()
    return [
        part
        for line in text.splitlines()
        for part in textwrap.wrap(line, columns, break_long_words=False, break_on_hyphens=False)
    ]


def _show_json(findings: Mapping[str, Sequence[Finding]]) -> None:
    listed = [
        {"about": about, "mark": each.mark, "subject": each.subject, "text": each.text, "fix": each.fix}
        for about, group in findings.items()
        for each in group
    ]
    click.echo(json.dumps({"schema_version": 1, "findings": listed}))


def _count(findings: Mapping[str, Sequence[Finding]], mark: Mark) -> int:
    return sum(each.mark == mark for group in findings.values() for each in group)

"""`dstream init`, `plan`, `status` and `destroy`: the infrastructure that a task's output writes to."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Literal, TextIO

import click

from dstream.cli.lifecycle_request import Answer, Request
from dstream.cli.options import Options, with_options
from dstream.cli.plan_view import drift_view, has_changes, painter, plan_view, result_line
from dstream.cli.render import show_errors
from dstream.cli.stream_view import stream_of
from dstream.errors import ConfigError
from dstream.protocol.lifecycle import LifecycleOptions

_tasks = click.argument("tasks", nargs=-1, required=True, metavar="TASK..")
_target = click.option("--target", multiple=True, metavar="NAME", help="Only this resource; may be given again.")
_yes = click.option("--yes", is_flag=True, help="Don't ask. Needed where there is no terminal to ask at.")


@click.command(
    epilog="\b\nExamples:\n"
    "  dstream plan orders\n"
    "  dstream plan orders --destroy\n"
    "  dstream plan orders --detailed-exitcode"
)
@_tasks
@click.option("--destroy", is_flag=True, help="Show what destroy would delete.")
@_target
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes.")
@with_options
def plan(
    tasks: Sequence[str], options: Options, *, destroy: bool, target: Sequence[str], detailed_exitcode: bool
) -> int:
    """Show what init would do to what TASK's output writes to. Nothing is changed."""
    request = Request(options, tasks)
    answers = request.ask("plan", LifecycleOptions(destroy=destroy, target=list(target)))
    would_change = any(has_changes(answer.resources) for answer in answers)
    if options.as_json:
        click.echo(json.dumps(request.document("plan", answers)))
    else:
        _show_plans(request, answers, sys.stdout)
    _show_failures(answers)
    code = request.exit_code(answers)
    if code:
        return code
    if would_change and not options.as_json:
        click.echo(f"\nNext: dstream {'destroy' if destroy else 'init'} {' '.join(tasks)}")
    return 2 if would_change and detailed_exitcode else 0


@click.command(epilog="\b\nExamples:\n  dstream init orders\n  dstream init orders --yes --json")
@_tasks
@_target
@_yes
@with_options
def init(tasks: Sequence[str], options: Options, *, target: Sequence[str], yes: bool) -> int:
    """Create or update what TASK's output writes to: show the plan, ask, carry it out."""
    return _change("init", tasks, options, target, yes)


@click.command(epilog="\b\nExamples:\n  dstream plan orders --destroy\n  dstream destroy orders")
@_tasks
@_target
@_yes
@with_options
def destroy(tasks: Sequence[str], options: Options, *, target: Sequence[str], yes: bool) -> int:
    """Delete what init made for TASK: show it, ask, carry it out."""
    return _change("destroy", tasks, options, target, yes)


@click.command(epilog="\b\nExamples:\n  dstream status orders\n  dstream status orders --detailed-exitcode")
@_tasks
@_target
@click.option("--refresh-only", is_flag=True, help="Record what is really there: accept the drift.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there is drift.")
@with_options
def status(
    tasks: Sequence[str], options: Options, *, target: Sequence[str], refresh_only: bool, detailed_exitcode: bool
) -> int:
    """Compare TASK's recorded infrastructure with what is really there, and show its last checkpoint."""
    request = Request(options, tasks)
    answers = request.ask("status", LifecycleOptions(refresh_only=refresh_only, target=list(target)))
    if options.as_json:
        document = request.document("status", answers)
        for entry, answer in zip(document["tasks"], answers, strict=True):
            entry["stream"] = stream_of(request.project, answer.task).document()
            if answer.has_no_infrastructure:
                entry["status"], entry["error"] = "success", None
        click.echo(json.dumps(document))
    else:
        for index, answer in enumerate(answers):
            _show_status(request, answer, first=index == 0)
    failed = [answer for answer in answers if not answer.has_no_infrastructure]
    _show_failures(failed)
    code = request.exit_code(failed)
    has_drifted = any(has_changes(answer.resources) for answer in answers) and not refresh_only
    return 2 if not code and has_drifted and detailed_exitcode else code


def _change(
    command: Literal["init", "destroy"], tasks: Sequence[str], options: Options, target: Sequence[str], yes: bool
) -> int:
    """All plans first: unless every task can do it, none is touched."""
    if not yes and not sys.stdin.isatty():
        raise ConfigError(
            "lifecycle.needs_yes",
            f"`dstream {command}` changes infrastructure: where there is no terminal to ask at, it needs --yes",
            hint=f"What it would do: dstream plan {' '.join(tasks)}{' --destroy' if command == 'destroy' else ''}",
        )
    request = Request(options, tasks)
    targets = list(target)
    plans = request.ask("plan", LifecycleOptions(destroy=command == "destroy", target=targets))
    _show_plans(request, plans, sys.stderr if options.as_json else sys.stdout)
    answers = plans
    if request.exit_code(plans) == 0 and any(_may_change(answer) for answer in plans):
        if not yes and not _confirmed(command, plans):
            click.echo("Nothing was changed.", err=True)
            return 1
        answers = request.ask(command, LifecycleOptions(target=targets))
        if not options.as_json:
            _show_results(answers)
    if options.as_json:
        click.echo(json.dumps(request.document(command, answers)))
    _show_failures(answers)
    return request.exit_code(answers)


def _may_change(answer: Answer) -> bool:
    """One of the original protocol need not list its resources."""
    return has_changes(answer.resources) or (answer.outcome is not None and answer.outcome.is_legacy)


def _confirmed(command: str, plans: Sequence[Answer]) -> bool:
    names = ", ".join(answer.task.name for answer in plans)
    return click.confirm(f"\n{command.capitalize()} {names}?", err=True)


def _show_plans(request: Request, answers: Sequence[Answer], stream: TextIO) -> None:
    for index, answer in enumerate(answers):
        if not answer.is_success or answer.outcome is None:
            continue
        head = f"{answer.task.name} · {answer.provider} · stack {request.project.stack}"
        if answer.outcome.is_legacy and not answer.resources:
            body = f"{answer.outcome.message or 'The provider told no details.'}\n"
        else:
            body = plan_view(answer.resources, painter(request.options.color(stream)))
        click.echo(f"{chr(10) if index else ''}{head}\n\n{body}", file=stream, nl=False)


def _show_results(answers: Sequence[Answer]) -> None:
    click.echo()
    for answer in answers:
        outcome = answer.outcome
        if outcome is None:
            continue
        prefix = f"{answer.task.name}: " if len(answers) > 1 else ""
        if answer.is_success or answer.resources:
            click.echo(prefix + result_line(answer.resources, answer.elapsed_s))
        if outcome.message and answer.is_success:
            click.echo(outcome.message)
        for name, value in (outcome.outputs or {}).items():
            click.echo(f"  {name} = {value if isinstance(value, str) else json.dumps(value)}")


def _show_failures(answers: Sequence[Answer]) -> None:
    for answer in answers:
        if answer.error:
            show_errors(answer.error, sys.stderr)
        elif answer.is_interrupted:
            click.echo(
                f"Interrupted before {answer.task.name} was done. What was made is recorded: "
                f"`dstream status {answer.task.name}` shows it.",
                err=True,
            )


def _show_status(request: Request, answer: Answer, *, first: bool) -> None:
    if not first:
        click.echo()
    click.echo(f"{answer.task.name} · {answer.provider} · stack {request.project.stack}\n")
    for line in _infrastructure_lines(request, answer):
        click.echo(line)
    click.echo(f"  stream           {stream_of(request.project, answer.task).text()}")
    if answer.outcome and answer.outcome.is_legacy:
        click.echo("  delivery         at most once: the output speaks the original protocol and sends no acks")
    if has_changes(answer.resources) and not any(each.op == "refresh" for each in answer.resources):
        name = answer.task.name
        click.echo(f"\nHeal the drift: dstream init {name}   ·   accept it: dstream status {name} --refresh-only")


def _infrastructure_lines(request: Request, answer: Answer) -> list[str]:
    label = "  infrastructure   "
    if answer.has_no_infrastructure:
        return [f"{label}none: {answer.provider} manages none"]
    if not answer.is_success:
        return [f"{label}unknown"]
    drifted = sum(each.op not in ("same", "refresh") for each in answer.resources)
    accepted = sum(each.op == "refresh" for each in answer.resources)
    if drifted:
        text = f"drift in {drifted} of {len(answer.resources)}"
    elif accepted:
        text = f"drift in {accepted} of {len(answer.resources)}, now recorded as it is"
    elif answer.resources:
        text = f"{len(answer.resources)} as recorded"
    else:
        text = (
            answer.outcome.message if answer.outcome else ""
        ) or f"nothing recorded: dstream init {answer.task.name}"
    return [label + text, *drift_view(answer.resources, painter(request.options.color(sys.stdout)))]

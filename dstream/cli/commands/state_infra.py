"""`dstream state infra`: list, move, remove and import recorded resources, without changing the resources."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from dstream.cli.audited import AuditedChange
from dstream.cli.completing import task_names
from dstream.cli.confirming import confirm
from dstream.cli.options import Options, with_options
from dstream.cli.project import infrastructure_of, load_project, task_of
from dstream.cli.view.words import plural
from dstream.shown import shown

if TYPE_CHECKING:
    from dstream.config import Project
    from dstream.infra.engine.edits import RecordEditor
    from dstream.infra.engine.record import RecordedEntry

_YES = click.option(
    "--yes", "is_confirmed", is_flag=True, help="Skip the confirmation prompt; required when stdin is not a terminal."
)


@click.group(epilog="\b\nExample:\n  dstream state infra list orders")
def infra() -> None:
    """List, move, remove and import the recorded resources of a task. The resources themselves stay as they are."""


@infra.command("list", epilog="\b\nExample:\n  dstream state infra list orders")
@click.argument("task", shell_complete=task_names)
@with_options
def list_resources(task: str, options: Options) -> None:
    """List the recorded resources of TASK.

    TASK need not be in the file any more.
    """
    found = _editor(load_project(options, only=()), task).entries()
    if options.as_json:
        _print(task, resources=_plain(found))
        return
    width = max(len(shown(each.name)) for each in found)
    for each in found:
        click.echo(f"{shown(each.name):<{width}}   {shown(each.type)}   {shown(each.id)}")


@infra.command(
    epilog="\b\nExamples:\n"
    "  dstream state infra mv orders sales\n"
    "  dstream state infra mv orders sales --resource returns"
)
@click.argument("task", shell_complete=task_names)
@click.argument("new_task", shell_complete=task_names)
@click.option(
    "--resource",
    "names",
    multiple=True,
    metavar="NAME",
    help="Move only this resource and what is in it; may be repeated.",
)
@_YES
@with_options
def mv(task: str, new_task: str, names: Sequence[str], options: Options, *, is_confirmed: bool) -> None:
    """Move the record of TASK to NEW_TASK.

    Rename the task in the file first. With --resource, move only that resource to another task, which may have others.
    The next `dstream plan` shows what remains to do.
    """
    project = load_project(options, only=())
    source, target = _editor(project, task), _editor(project, task_of(project, new_task).name)
    if task == new_task:
        raise click.UsageError("TASK and NEW_TASK are the same.")
    moved: list[RecordedEntry] = []

    with AuditedChange(project, "state infra mv", [task, new_task]) as change:

        def begin(found: Sequence[RecordedEntry]) -> None:
            moved.extend(found)
            _confirm(found, f"{new_task} will record these resources instead of {task}.", is_confirmed)
            change.begin(resources=_plain(found))

        if names:
            source.move(names, target, begin)
        else:
            source.rename(target, begin)
    _done(options, new_task, f"Moved {plural(len(moved), 'resource')} from {task} to {new_task}.", moved=moved)


@infra.command(epilog="\b\nExample:\n  dstream state infra rm orders returns")
@click.argument("task", shell_complete=task_names)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_YES
@with_options
def rm(task: str, names: Sequence[str], options: Options, *, is_confirmed: bool) -> None:
    """Remove each resource NAME from the record of TASK.

    The resource, with what is in it, stays in place and is no longer managed. Also remove it from the file: otherwise
    the next `dstream plan` shows it as a creation of something that exists.
    """
    removed: list[RecordedEntry] = []

    project = load_project(options, only=())
    with AuditedChange(project, "state infra rm", [task]) as change:

        def begin(found: Sequence[RecordedEntry]) -> None:
            removed.extend(found)
            _confirm(found, f"{task} will no longer manage these resources.", is_confirmed)
            change.begin(resources=_plain(found))

        _editor(project, task).forget(names, begin)
    _done(options, task, f"Removed {plural(len(removed), 'resource')} from the record of {task}.", removed=removed)


@infra.command(
    "import",
    epilog="\b\nExample:\n  dstream state infra import orders azure-native:servicebus:Queue returns \\\n"
    "    /subscriptions/../namespaces/sb-retail/queues/returns",
)
@click.argument("task", shell_complete=task_names)
@click.argument("resource_type", metavar="TYPE")
@click.argument("name")
@click.argument("resource_id", metavar="ID")
@with_options
def import_resource(task: str, resource_type: str, name: str, resource_id: str, options: Options) -> None:
    """Record an existing resource of TASK by its ID.

    Records its actual settings. TYPE is Pulumi's type token, NAME the name that `dstream plan` shows. Only for
    resources of a Pulumi plugin, such as azure-native; `dstream init --import` imports those of mode entities.
    """
    project = load_project(options, only=())
    editor = _editor(project, task_of(project, task).name)
    with AuditedChange(project, "state infra import", [task]) as change:
        change.begin(resources=[{"name": name, "type": resource_type, "id": resource_id}])
        editor.import_resource(resource_type, name, resource_id)
    _done(options, task, f"Imported {name} into the record of {task}. Next: dstream plan {task}", imported=[name])


def _editor(project: Project, task: str) -> RecordEditor:
    from dstream.infra.engine.edits import RecordEditor

    return RecordEditor(infrastructure_of(project, task), os.environ)


def _confirm(found: Sequence[RecordedEntry], what: str, is_confirmed: bool) -> None:
    for each in () if is_confirmed else found:
        click.echo(shown(f"  {each.name}   {each.type}"), err=True)
    confirm(what, is_confirmed)


def _done(options: Options, task: str, text: str, **lists: Sequence[RecordedEntry] | Sequence[str]) -> None:
    if not options.as_json:
        click.echo(shown(text))
        return
    _print(
        task,
        **{name: [each if isinstance(each, str) else each.name for each in found] for name, found in lists.items()},
    )


def _print(task: str, **more: object) -> None:
    click.echo(json.dumps({"schema_version": 1, "task": task, **more}))


def _plain(found: Sequence[RecordedEntry]) -> list[dict[str, str]]:
    return [{"name": each.name, "type": each.type, "id": each.id} for each in found]

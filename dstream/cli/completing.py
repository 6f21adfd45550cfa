"""Completes the names of tasks and providers in the shell. Writes nothing: a broken file completes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click
from click.shell_completion import CompletionItem

from dstream.cli.options import Options

_OPTIONS = ("config", "variables", "variable_files", "chdir")


def task_names(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the tasks of the file that are not on the command line yet."""
    from dstream.cli.project import load_project
    from dstream.errors import DStreamError

    try:
        project = load_project(_options(context), only=())
    except (DStreamError, click.ClickException):
        return []
    given = context.params.get("tasks") or ()
    return [CompletionItem(name) for name in project.tasks if name.startswith(incomplete) and name not in given]


def provider_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the installed providers; without a match, files and folders."""
    from dstream.plugins import installed

    found = [each.name for each in installed(os.environ) if each.name.startswith(incomplete)]
    return [CompletionItem(name) for name in found] or [CompletionItem(incomplete, type="file")]


def _options(context: click.Context) -> Options:
    """Return the options given so far, before and after the command's name."""
    options = Options()
    for given in _contexts(context):
        options = options.over(Options(**{name: given.params[name] for name in _OPTIONS if name in given.params}))
    return options


def _contexts(context: click.Context | None) -> Iterator[click.Context]:
    while context is not None:
        yield context
        context = context.parent

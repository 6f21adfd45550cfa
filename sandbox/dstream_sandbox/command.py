"""What all commands of the sandbox share: the folder they work on, and errors that become one message."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import click

from dstream_sandbox.errors import SandboxError
from dstream_sandbox.folder import Folder, Settings

P = ParamSpec("P")

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".dstream/sandbox"),
    show_default=True,
    envvar="DSTREAM_SANDBOX_DATA",
    show_envvar=True,
    help="The folder that keeps everything.",
)


def command(
    group: click.Group, name: str | None = None, *, example: str
) -> Callable[[Callable[P, None]], click.Command]:
    """A command of `group`: its help ends with `example`, its SandboxErrors become one message and exit code 1."""

    def decorate(function: Callable[P, None]) -> click.Command:
        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                function(*args, **kwargs)
            except SandboxError as error:
                raise click.ClickException(str(error)) from error

        return group.command(name, epilog=examples(example))(guarded)

    return decorate


def examples(text: str) -> str:
    """The end of a help page."""
    lines = text.strip().splitlines()
    return "\n".join(["\b", "Examples:" if len(lines) > 1 else "Example:", *(f"  {line}" for line in lines)])


def open_folder(data: Path) -> Folder:
    return Folder(data.resolve())


def running_settings(folder: Folder) -> Settings:
    """Raises SandboxError when no sandbox runs there."""
    settings = folder.settings()
    if settings is None or folder.running() is None:
        raise SandboxError(
            f"no sandbox runs on {folder.path}; start one: dstream sandbox up --detach (elsewhere: see --data)"
        )
    return settings


def show(*lines: Any) -> None:
    """On stderr: what is no result."""
    for line in lines:
        click.echo(line, err=True)

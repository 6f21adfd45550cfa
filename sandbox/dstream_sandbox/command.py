"""Shared by all sandbox commands: the option for the data folder, and SandboxError shown as one message."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import click

from dstream_sandbox.errors import SandboxError
from dstream_sandbox.folder import Folder, Settings
from dstream_sandbox.printable import printable

P = ParamSpec("P")

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".dstream/sandbox"),
    show_default=True,
    envvar="DSTREAM_SANDBOX_DATA",
    show_envvar=True,
    help="Data folder.",
)


def command(
    group: click.Group, name: str | None = None, *, example: str
) -> Callable[[Callable[P, None]], click.Command]:
    """Add the decorated function to `group`. Its help ends with `example`; a SandboxError becomes one message and exit
    code 1."""

    def decorate(function: Callable[P, None]) -> click.Command:
        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                function(*args, **kwargs)
            except SandboxError as error:
                raise click.ClickException(printable(str(error), keeps="\n")) from error

        return group.command(name, epilog=examples(example))(guarded)

    return decorate


def examples(text: str) -> str:
    """Format the examples at the end of a help page."""
    lines = text.strip().splitlines()
    return "\n".join(["\b", "Examples:" if len(lines) > 1 else "Example:", *(f"  {line}" for line in lines)])


def counted(count: int, word: str) -> str:
    """'1 row', '1,000 rows'"""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def open_folder(data: Path) -> Folder:
    return Folder(data.resolve())


def running_settings(folder: Folder) -> Settings:
    """The settings of the running sandbox. Raises SandboxError if none is running."""
    settings = folder.settings()
    if settings is None or folder.running() is None:
        raise SandboxError(
            f"no sandbox is running in {folder.path}; start one with `dstream sandbox up --detach`, or set --data"
        )
    return settings


def show(*lines: Any) -> None:
    """Print messages, as opposed to results, to stderr."""
    for line in lines:
        click.echo(printable(str(line), keeps="\n\t"), err=True)

"""The confirmation of commands that delete or change what is stored."""

from __future__ import annotations

import sys

import click


def confirm(what: str, is_confirmed: bool) -> None:
    """Ask unless `is_confirmed`. Raises click.UsageError without a terminal, click.Abort if the user declines."""
    if is_confirmed:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{what} Use --yes to confirm without a terminal.")
    click.confirm(f"{what} Continue?", abort=True, err=True)

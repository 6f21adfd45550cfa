"""The confirmation of commands that delete or change what is stored."""

from __future__ import annotations

import sys

import click

from dstream.errors import ConfigError


def confirm(what: str, is_confirmed: bool, hint: str = "Confirm with --yes.") -> None:
    """Ask unless `is_confirmed`; `what` would happen.

    Raises ConfigError `lifecycle.needs_yes` without a terminal, click.Abort if the user declines.
    """
    if is_confirmed:
        return
    if not sys.stdin.isatty():
        raise ConfigError(
            "lifecycle.needs_yes", f"this needs confirmation, and stdin is not a terminal: {what}", hint=hint
        )
    click.confirm(f"{what} Continue?", abort=True, err=True)

"""`dstream completion`: prints click's completion script for a shell."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog="\b\nExamples:\n"
    '  eval "$(dstream completion bash)"\n'
    "  dstream completion zsh > ~/.zfunc/_dstream\n"
    "  dstream completion fish > ~/.config/fish/completions/dstream.fish"
)
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print a script that completes `dstream` commands and options in SHELL."""
    found: Any = get_completion_class(shell)
    root = click.get_current_context().find_root().command
    click.echo(found(root, {}, "dstream", "_DSTREAM_COMPLETE").source())

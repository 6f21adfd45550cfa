"""The command `dstream`: dispatch, and the one place where an error becomes a message and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from importlib import metadata
from typing import Any

import click

import dstream
from dstream.cli.commands.doctor import doctor
from dstream.cli.commands.list import list_tasks
from dstream.cli.commands.provider import provider
from dstream.cli.commands.run import run
from dstream.cli.commands.state import state
from dstream.cli.commands.unlock import unlock
from dstream.cli.commands.validate import validate
from dstream.cli.commands.version import version
from dstream.cli.completion import completion
from dstream.cli.lifecycle.commands import destroy, init, plan, status
from dstream.cli.options import Options, with_options
from dstream.cli.render import show_errors
from dstream.errors import ConfigErrors, DStreamError, exit_code

_PLUGIN_COMMANDS = {"sandbox": "The local SQL Server and Service Bus.", "demo": "The whole story on the sandbox."}
"""Commands of the optional package dstream-sandbox."""


class _Commands(click.Group):
    """Adds the commands of optional packages, which are imported only when they are called."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({*super().list_commands(context), *_PLUGIN_COMMANDS})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _PLUGIN_COMMANDS:
            return super().get_command(context, name)
        for entry in metadata.entry_points(group="dstream.commands", name=name):
            command: click.Command = entry.load()
            return command
        return _missing_plugin(name)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExample:\n  dstream demo\n  dstream validate\n  dstream run orders",
)
@click.version_option(dstream.__version__, prog_name="dstream")
@with_options
def cli(options: Options) -> None:
    """Stream data from a source to a destination, as tasks in dstream.hcl describe it."""
    click.get_current_context().obj = options


cli.add_command(destroy)
cli.add_command(init)
cli.add_command(completion)
cli.add_command(doctor)
cli.add_command(list_tasks)
cli.add_command(plan)
cli.add_command(provider)
cli.add_command(run)
cli.add_command(state)
cli.add_command(status)
cli.add_command(unlock)
cli.add_command(validate)
cli.add_command(version)


def main() -> None:
    """The entry point."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts background jobs like this. Every command stops cleanly on SIGINT, so let it arrive.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ.get("_DSTREAM_COMPLETE"):
        cli.main(prog_name="dstream", complete_var="_DSTREAM_COMPLETE")  # answers the shell and exits
    sys.exit(_exit_code(sys.argv[1:]))


def _exit_code(arguments: list[str]) -> int:
    try:
        result: Any = cli.main(arguments, standalone_mode=False)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.Abort:
        return 130
    except click.UsageError as error:
        error.show()
        return 3
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (DStreamError, ConfigErrors) as error:
        show_errors(error, sys.stderr)
        return exit_code(error)
    return result if isinstance(result, int) else 0


def _missing_plugin(name: str) -> click.Command:
    def explain() -> None:
        raise click.UsageError(f"`dstream {name}` needs the sandbox; in a checkout of DStream, run: make setup")

    return click.Command(name, callback=explain, help=_PLUGIN_COMMANDS[name])


if __name__ == "__main__":
    main()

"""The command `dstream`: dispatches to commands and turns an error into a message and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import click

import dstream
from dstream import streams
from dstream.cli.command_table import LazyCommands
from dstream.cli.options import Options, with_options
from dstream.errors import DStreamError, SystemFault, exit_code, of_os_error
from dstream.garbage_collection import collect_rarely


@click.group(
    cls=LazyCommands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExample:\n  dstream demo\n  dstream validate\n  dstream run orders",
)
@click.version_option(dstream.__version__, prog_name="dstream")
@with_options
def cli(options: Options) -> None:
    """Stream data from sources to destinations, as defined by the tasks in dstream.hcl."""
    click.get_current_context().obj = options


def main() -> None:
    """Run the command line and exit."""
    collect_rarely()
    streams.protect()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Shells start background jobs with SIGINT ignored; every command stops cleanly on SIGINT, so restore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(_exit_code(sys.argv[1:]))


def _exit_code(arguments: list[str]) -> int:
    try:
        if os.environ.get("_DSTREAM_COMPLETE"):
            cli.main(prog_name="dstream", complete_var="_DSTREAM_COMPLETE")  # answers the shell and exits
        result: Any = cli.main(arguments, standalone_mode=False)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.Abort:
        click.echo("Interrupted.", err=True)
        return exit_code("interrupted", signal=signal.SIGINT)
    except click.UsageError as error:
        error.show()
        return exit_code("usage")
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except streams.ReaderGone:
        return exit_code("interrupted", signal=signal.SIGPIPE)
    except DStreamError as error:
        return _failed(error)
    except OSError as error:  # of a file for which no module has a better message
        return _failed(of_os_error(error))
    except Exception as error:  # noqa: BLE001  # the outermost frame
        return _failed(_crash(error))
    return result if isinstance(result, int) else exit_code("done")


def _crash(error: Exception) -> SystemFault:
    import traceback  # not needed otherwise

    return SystemFault(
        "system.crashed",
        f"a bug in DStream: {type(error).__name__}: {error}",
        hint="Please report this bug with the output above.",
        details="".join(traceback.format_exception(error)).splitlines(),
    )


def _failed(error: DStreamError) -> int:
    from dstream.cli.render import show_errors  # not needed by `--help` and `version`

    show_errors(error, sys.stderr)
    return exit_code(error)


if __name__ == "__main__":
    main()

"""What a provider reports for an exception that its author did not handle."""

from __future__ import annotations

import traceback

from dstream.errors import SystemFault, of_os_error


def unhandled(error: Exception) -> SystemFault:
    """Return the error to report: `system.failed` for a refusal of the operating system, such as a full disk, or
    `provider.crashed` for a bug, whose traceback goes to stderr.

    A lost connection counts as a bug: the author should name what was lost. So does a library's own subclass of
    OSError (`socket.gaierror`, `ssl.SSLError`), whose number is often not one of the system's.
    """
    if isinstance(error, OSError) and _is_refusal(error):
        return of_os_error(error)
    traceback.print_exception(error)
    return SystemFault("provider.crashed", f"{type(error).__name__}: {error}")


def _is_refusal(error: OSError) -> bool:
    is_of_system = error.errno is not None and type(error).__module__ == "builtins"
    return is_of_system and not isinstance(error, (ConnectionError, TimeoutError))

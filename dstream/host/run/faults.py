"""Turns whatever ends a run into an error of the tree."""

from __future__ import annotations

import traceback

from dstream.errors import DStreamError, SystemFault, of_os_error
from dstream.host.provider import failures


def fault_of(error: Exception, task: str) -> DStreamError:
    """Return the error itself if it is a DStreamError; `system.failed` for one of the operating system; otherwise
    `run.crashed`, a bug in DStream, with its traceback. Redact it before showing it."""
    if isinstance(error, DStreamError):
        return error
    if isinstance(error, OSError):
        return of_os_error(error)
    if str(error) == "can't start new thread":  # CPython raises a plain RuntimeError
        return failures.out_of_threads(task)
    return SystemFault(
        "run.crashed",
        f'task "{task}" crashed because of a bug in DStream: {type(error).__name__}: {error}',
        hint="Please report this bug with the output above.",
        details="".join(traceback.format_exception(error)).splitlines(),
    )

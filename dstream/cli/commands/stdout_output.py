"""`dstream run TASK --dry-run`: rows go to stdout instead of to the task's output, and no checkpoint moves."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dstream.host import ProviderSpec
from dstream.plugins import module_command

_STDOUT = 1


@contextmanager
def stdout_spec(max_rows: int | None) -> Iterator[ProviderSpec]:
    """Yield the output that writes to this process's stdout, at most so many rows."""
    descriptor = os.dup(_STDOUT)
    try:
        yield ProviderSpec(
            argv=module_command("dstream.sdk.examples.stdout"),
            config={"descriptor": descriptor, "max_rows": max_rows},
            label="stdout",
            inherited=(descriptor,),
        )
    finally:
        os.close(descriptor)


def when_unread(stop: Callable[[], object]) -> None:
    """Call `stop` on another thread as soon as the reader of stdout has closed it, e.g. `| head`."""

    def watch() -> None:
        poll = select.poll()
        poll.register(_STDOUT, 0)  # only POLLERR and POLLHUP
        poll.poll()
        stop()

    threading.Thread(target=watch, name="stdout-watch", daemon=True).start()

"""The pipes of a provider that has ended."""

from __future__ import annotations

import signal
import threading

import pytest

from dstream.host.provider.link import LineLink, shut_down
from dstream.host.provider.spec import ProviderSpec


@pytest.mark.parametrize("still_writes", [True, False])
def test_stdin_stays_open_while_a_thread_writes_rows_to_it(still_writes: bool) -> None:
    # As if a process in another session held the pipe: after a close, its number would soon be another file's.
    link = LineLink("output", ProviderSpec(argv=["sleep", "60"], config={}, label="sleep"), cwd=None)
    written = threading.Event()
    link.rows_from = threading.Thread(target=written.wait)
    link.rows_from.start()
    if not still_writes:
        written.set()
        link.rows_from.join()
    link.writer.release()  # the rows follow line 1
    link.writer.join()
    shut_down([link], signal.SIGKILL, 0.0)
    assert link.process.stdin.closed != still_writes
    written.set()
    link.rows_from.join()
    link.process.stdin.close()

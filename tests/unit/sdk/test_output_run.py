"""An output ends only after its last acks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, cast

from dstream.protocol.messages import Ack, Checkpoint, Stop, encode
from dstream.sdk import Batch, OutputProvider
from dstream.sdk._channel import Channel
from dstream.sdk._output import OutputRun
from tests.unit.sdk.test_trace_context import Script


class Write(Future[None]):
    """Done on a thread of its own once it is waited for, and read before its callback runs."""

    def add_done_callback(self, callback: Callable[[Future[None]], object]) -> None:
        is_read = threading.Event()
        self._read = is_read.set
        super().add_done_callback(lambda _: is_read.wait(60))
        super().add_done_callback(callback)
        threading.Thread(target=self.set_result, args=(None,)).start()

    def result(self, timeout: float | None = None) -> None:
        super().result(timeout)
        self._read()


class Threaded(OutputProvider[Any]):
    def write(self, batch: Batch) -> Future[None]:
        return Write()


def test_the_last_ack_is_sent_before_the_run_ends() -> None:
    """Its process exits then. The host would take a missing ack for a failure, and send the rows again."""
    for _ in range(20):
        script = Script(b"a\n", encode(Checkpoint(1, 1)), encode(Stop(1000)))
        script.has_host = True
        OutputRun(Threaded(), cast("Channel", script)).run()
        assert script.sent == [Ack(1, 1)]

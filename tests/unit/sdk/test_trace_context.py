"""An output gets rows with their trace context: a batch never has two."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, cast

import pytest

from dstream.protocol.messages import Ack, BadLine, Checkpoint, TraceContext, decode_control, encode
from dstream.sdk import Batch, BatchLimits, OutputProvider
from dstream.sdk._channel import Channel
from dstream.sdk._output import OutputRun

ONE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TWO = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00"


class Script:
    """A channel whose lines all arrive in one chunk."""

    has_host = False

    def __init__(self, *lines: bytes) -> None:
        self._chunks = [b"".join(lines)]
        self.sent: list[Any] = []

    def read_chunk(self, timeout_s: float | None) -> bytes:
        return self._chunks.pop() if self._chunks else b""

    def send(self, data: bytes) -> None:
        self.sent.append(decode_control(data.rstrip(b"\n")))


class Keeping(OutputProvider[Any]):
    def __init__(self) -> None:
        self.batches: list[tuple[list[bytes], str]] = []

    @property
    def limits(self) -> BatchLimits:
        return BatchLimits(max_lines=3, linger_s=60.0)

    def write(self, batch: Batch) -> Future[None]:
        self.batches.append((list(batch.lines), batch.traceparent))
        done: Future[None] = Future()
        done.set_result(None)
        return done


def batches(*lines: bytes) -> list[tuple[list[bytes], str]]:
    provider = Keeping()
    OutputRun(provider, cast("Channel", Script(*lines))).run()
    return provider.batches


def test_lines_have_the_context_that_arrived_last() -> None:
    given = [b"a\n", encode(TraceContext(ONE)), b"b\n", b"c\n", encode(Checkpoint(1, 3)), b"d\n", b"e\n"]
    assert batches(*given, encode(TraceContext(TWO)), b"f\n") == [
        ([b"a"], ""),
        ([b"b", b"c", b"d"], ONE),
        ([b"e"], ONE),
        ([b"f"], TWO),
    ]


def test_without_a_host_that_traces_there_is_no_context() -> None:
    assert batches(b"a\n", b"b\n") == [([b"a", b"b"], "")]


@pytest.mark.parametrize(
    "traceparent", ["", "01-" + ONE[3:], ONE[:-3], ONE.upper(), ONE + "\n", ONE.replace("-", "_"), "x" * 55]
)
def test_a_malformed_context_is_refused(traceparent: str) -> None:
    line = encode(TraceContext(traceparent)).rstrip(b"\n")
    with pytest.raises(BadLine):
        decode_control(line)


def test_contexts_do_not_change_what_is_acknowledged() -> None:
    script = Script(b"a\n", encode(TraceContext(ONE)), b"b\n", encode(Checkpoint(1, 2)))
    script.has_host = True
    provider = Keeping()
    run = OutputRun(provider, cast("Channel", script))
    run._stopped = True
    run.run()
    assert script.sent == [Ack(1, 2)]

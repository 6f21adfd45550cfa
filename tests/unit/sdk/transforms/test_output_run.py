"""A dropped line counts as settled, once everything before it is durable; checkpoints and counts stay exact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, cast

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from dstream.protocol.messages import Ack, Checkpoint, Metric, Stop, decode_control, encode
from dstream.protocol.transforms import FilterRows, RowField
from dstream.sdk import Batch, BatchLimits, OutputProvider
from dstream.sdk._channel import Channel
from dstream.sdk._output import OutputRun
from dstream.sdk._telemetry import Telemetry
from dstream.sdk._transform.chain import TransformChain

KEEPS = TransformChain([FilterRows(where=RowField("data", ["keep"]))])


class _Config(msgspec.Struct):
    pass


class Collecting(OutputProvider[_Config]):
    """Collects lines. With `futures`, a batch is durable when the test says so."""

    def __init__(self, channel: ScriptedChannel, limits: BatchLimits, *, futures: bool) -> None:
        self.limits = limits  # type: ignore[misc]
        self.telemetry = Telemetry(channel.send)
        self.lines: list[bytes] = []
        self.sizes: list[int] = []
        self.open: list[Future[None]] = []
        self._futures = futures

    def write(self, batch: Batch) -> Future[None] | None:
        assert batch.lines
        assert batch.size == sum(map(len, batch.lines))
        self.lines += batch.lines
        self.sizes.append(len(batch.lines))
        if not self._futures:
            return None
        self.open.append(Future())
        return self.open[-1]


class ScriptedChannel:
    """The host's lines as a script of bytes and actions, followed by stop and the end of stdin."""

    has_host = True

    def __init__(self, script: Sequence[bytes | Callable[[], Any]]) -> None:
        self._script = [*script, encode(Stop(1000)), b""]
        self.sent: list[Any] = []

    def read_chunk(self, timeout_s: float | None = None) -> bytes | None:
        step = self._script.pop(0)
        if isinstance(step, bytes):
            return step
        step()
        return None

    def send(self, data: bytes) -> None:
        self.sent.append(decode_control(data.rstrip(b"\n")))

    def wake(self) -> None:
        pass

    @property
    def acks(self) -> list[Ack]:
        return [each for each in self.sent if isinstance(each, Ack)]

    @property
    def filtered(self) -> float:
        return sum(each.value for each in self.sent if isinstance(each, Metric) and each.name == "rows_filtered")


def line(number: int, *, keep: bool) -> bytes:
    return b'{"data":{"n":%d,"keep":%s}}' % (number, b"true" if keep else b"false")


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.booleans(), max_size=5), max_size=6),
    st.integers(1, 4),
    st.sampled_from([0.0, 60.0]),
)
def test_every_line_is_settled_once_and_kept_lines_arrive_in_order(
    checkpoints: list[list[bool]], max_lines: int, linger_s: float
) -> None:
    keeps = [keep for between in checkpoints for keep in between]
    lines = [line(number, keep=keep) for number, keep in enumerate(keeps)]
    script, at = [], 0
    for seq, between in enumerate(checkpoints, 1):
        script += [each + b"\n" for each in lines[at : at + len(between)]]
        script.append(encode(Checkpoint(seq, len(between))))
        at += len(between)
    channel = ScriptedChannel(script)
    provider = Collecting(channel, BatchLimits(max_lines, linger_s=linger_s), futures=False)
    OutputRun(provider, cast("Channel", channel), KEEPS).run()
    assert provider.lines == [each for each, keep in zip(lines, keeps, strict=True) if keep]
    assert max(provider.sizes, default=0) <= max_lines
    assert sum(cast("int", ack.n) for ack in channel.acks) == len(lines)
    assert [ack.seq for ack in channel.acks][-1:] == ([len(checkpoints)] if checkpoints else [])
    assert channel.filtered == keeps.count(False)


def test_a_dropped_line_is_not_acknowledged_before_the_lines_before_it_are_durable() -> None:
    seen: list[int] = []

    def note() -> None:
        seen.append(len(channel.acks))

    def finish() -> None:
        provider.open[0].set_result(None)

    channel = ScriptedChannel(
        [
            line(1, keep=True) + b"\n",
            note,
            line(2, keep=False) + b"\n",
            encode(Checkpoint(1, 2)),
            note,
            note,
            finish,
            note,
        ]
    )
    provider = Collecting(channel, BatchLimits(linger_s=0.0, max_pending=2), futures=True)
    OutputRun(provider, cast("Channel", channel), KEEPS).run()
    assert seen == [0, 0, 0, 1]
    assert channel.acks == [Ack(1, 2)]

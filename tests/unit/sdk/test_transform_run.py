"""The run of a transform provider: each checkpoint follows the rows before it, with their number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from dstream.protocol.messages import Checkpoint, End, Stop, encode
from dstream.sdk import Batch, TransformProvider
from dstream.sdk._channel import Channel
from dstream.sdk._transform_run import TransformRun


class _Config(msgspec.Struct):
    pass


class Repeats(TransformProvider[_Config]):
    """Writes a row as often as its number says, alternately as it is and as an object."""

    def transform(self, batch: Batch) -> Iterable[bytes | dict[str, Any]]:
        for line, row in zip(batch.lines, batch.rows, strict=True):
            for copy in range(row["n"]):
                yield line if copy % 2 else row


class _Recorded:
    """A channel with these chunks."""

    has_host = True

    def __init__(self, data: bytes, size: int) -> None:
        self._chunks = [data[at : at + size] for at in range(0, len(data), size)]
        self.sent = b""

    def read_chunk(self, timeout_s: float | None = None) -> bytes:
        return self._chunks.pop(0) if self._chunks else b""

    def send(self, data: bytes) -> None:
        self.sent += data


@given(st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=4), st.integers(1, 200))
def test_rows_and_checkpoints_keep_their_order_however_they_arrive(checkpoints: list[list[int]], size: int) -> None:
    data, expected = b"", b""
    for seq, numbers in enumerate(checkpoints, 1):
        data += b"".join(b'{"n":%d}\n' % number for number in numbers) + encode(Checkpoint(seq, len(numbers)))
        expected += b"".join(b'{"n":%d}\n' % number * number for number in numbers)
        expected += encode(Checkpoint(seq, sum(numbers)))
    channel = _Recorded(data + encode(Stop(1000)), size)
    TransformRun(Repeats(), cast("Channel", channel)).run()
    assert channel.sent == expected + encode(End(len(checkpoints)))

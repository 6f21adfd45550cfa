from __future__ import annotations

import struct

import pytest
from dstream_sandbox.servicebus.amqp.frames import EMPTY_FRAME, FrameReader, frame
from dstream_sandbox.servicebus.amqp.values import MalformedValue
from hypothesis import given
from hypothesis import strategies as st

_frames = st.tuples(st.sampled_from([0, 1]), st.integers(0, 65535), st.binary(max_size=40))


@given(st.lists(_frames, max_size=6), st.lists(st.integers(1, 30), min_size=1))
def test_frames_are_read_wherever_the_stream_is_split(sent: list[tuple[int, int, bytes]], cuts: list[int]) -> None:
    stream = b"".join(frame(kind, channel, body) for kind, channel, body in sent)
    reader, got, pos, turn = FrameReader(512), [], 0, 0
    while pos < len(stream):
        size = cuts[turn % len(cuts)]
        reader.feed(stream[pos : pos + size])
        got += list(reader.frames())
        pos, turn = pos + size, turn + 1
    assert got == sent


def test_a_reader_that_stops_early_keeps_the_rest() -> None:
    reader = FrameReader(512)
    reader.feed(frame(1, 0, b"sasl") + b"AMQP\x00\x01\x00\x00" + frame(0, 0, b"open"))
    for _, _, body in reader.frames():
        assert body == b"sasl"
        break
    assert reader.protocol_header() == b"AMQP\x00\x01\x00\x00"
    assert list(reader.frames()) == [(0, 0, b"open")]


def test_an_extended_header_is_skipped() -> None:
    reader = FrameReader(512)
    reader.feed(struct.pack(">IBBH", 16, 3, 0, 7) + b"\0\0\0\0" + b"body")
    assert list(reader.frames()) == [(0, 7, b"body")]


def test_a_heartbeat_is_a_frame_without_a_body() -> None:
    reader = FrameReader(512)
    reader.feed(EMPTY_FRAME)
    assert list(reader.frames()) == [(0, 0, b"")]


@pytest.mark.parametrize("header", [struct.pack(">IBBH", 513, 2, 0, 0), struct.pack(">IBBH", 7, 2, 0, 0), b"GARBAGE!"])
def test_a_frame_with_an_invalid_size_is_malformed(header: bytes) -> None:
    reader = FrameReader(512)
    reader.feed(header)
    with pytest.raises(MalformedValue):
        list(reader.frames())

"""Every byte is written, in order, however the pipe splits the writes."""

from __future__ import annotations

import os
import threading

from dstream.host.provider.writer import PipeWriter, write_all


def read_all(descriptor: int, into: list[bytes]) -> None:
    while data := os.read(descriptor, 4096):
        into.append(data)
    os.close(descriptor)


def test_partial_writes_lose_nothing() -> None:
    read_end, write_end = os.pipe()
    got: list[bytes] = []
    reader = threading.Thread(target=read_all, args=(read_end, got))
    reader.start()
    buffers: list[bytes | memoryview] = [
        b"",
        *(bytes([n % 256]) * (n * 37 % 5000) for n in range(1500)),
        memoryview(b"x" * 300_000),
        b"end",
    ]
    write_all(write_end, buffers)
    os.close(write_end)
    reader.join()
    assert b"".join(got) == b"".join(bytes(buffer) for buffer in buffers)


def test_a_writer_closes_the_pipe_after_sending_everything() -> None:
    read_end, write_end = os.pipe()
    writer = PipeWriter("test", os.fdopen(write_end, "wb", buffering=0), lambda: None)
    writer.start()
    writer.send(b"one\n")
    writer.send(b"two\n")
    writer.close()
    got: list[bytes] = []
    read_all(read_end, got)
    writer.join()
    assert b"".join(got) == b"one\ntwo\n"


def test_a_broken_pipe_is_reported_once_and_does_not_raise() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    reported: list[str] = []
    writer = PipeWriter("test", os.fdopen(write_end, "wb", buffering=0), lambda: reported.append("broken"))
    writer.start()
    writer.send(b"one\n")
    writer.send(b"two\n")
    writer.close()
    writer.join()
    assert reported == ["broken"]

from __future__ import annotations

import gzip

from dstream_servicebus.publish.compression import compressed
from dstream_servicebus.publish.message import Message

from tests.unit.servicebus.messages import PLAIN, message


def test_a_large_body_is_compressed_and_marked() -> None:
    plain = message("1", 5000)

    small = compressed(plain, 1024)

    assert gzip.decompress(small.body) == plain.body
    assert small.row == plain.body
    assert (small.message_id, small.encoder.head.content_encoding) == ("1", "gzip")
    assert small.size == len(small.encoder.encode(b"1", small.body)) < plain.size


def test_equal_bodies_have_equal_compressed_bytes_without_a_time() -> None:
    first, second = (compressed(message("1", 5000), 0) for _ in range(2))

    assert first.body == second.body
    assert first.body[4:8] == bytes(4)  # the modification time (RFC 1952, 2.3.1)
    assert first.encoder is second.encoder


def test_a_body_below_the_threshold_or_that_does_not_shrink_stays_as_it_is() -> None:
    below, random = message("1", 1023), Message.of(PLAIN, "2", bytes(range(256)))

    assert compressed(below, 1024) is below
    assert compressed(random, 0) is random

from __future__ import annotations

import pytest
from azure.servicebus import ServiceBusMessageBatch
from azure.servicebus._pyamqp._encode import encode_payload
from azure.servicebus._pyamqp.message import BatchMessage
from dstream_servicebus.publish.batches import Cut, LinkLimits, fitting, way
from dstream_servicebus.publish.encoder import Encoder, Head
from dstream_servicebus.publish.message import Message
from dstream_servicebus.publish.sdk_batch import fill_fast
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.servicebus.messages import message, messages


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=80), st.integers(1, 20_000), st.integers(1, 50))
def test_sends_cover_all_messages_in_order_and_respect_both_limits(
    sizes: list[int], max_bytes: int, max_messages: int
) -> None:
    head = Head("application/json", session_id="s" * 100, partition_key="s" * 100)
    encoder = Encoder(head)
    waiting = [Message.of(encoder, str(n), b"x" * size) for n, size in enumerate(sizes)]
    sent: list[Message] = []
    while len(sent) < len(waiting):
        chosen = fitting(waiting[len(sent) :], Cut(max_bytes, max_messages))
        assert 1 <= len(chosen) <= max_messages
        if len(chosen) > 1:
            batch = ServiceBusMessageBatch(1 << 30)
            fill_fast(batch, chosen)
            assert len(encode_payload(bytearray(), BatchMessage(*batch._message))) <= max_bytes
        sent += chosen

    assert sent == waiting


@given(
    st.integers(-1200, 50),
    st.text(min_size=1, max_size=128),
    st.none() | st.text(min_size=1, max_size=128),
)
def test_a_message_around_the_limit_of_a_batch_fits_into_one_or_goes_alone(
    difference: int, message_id: str, session: str | None
) -> None:
    encoder = Encoder(Head("application/json", session_id=session, partition_key=session))
    limits = LinkLimits(20_000, 30_000)
    empty = Message.of(encoder, message_id, b"")
    sized = Message.of(encoder, message_id, b"x" * (limits.max_batch_bytes + difference - empty.size))

    batch = ServiceBusMessageBatch(1 << 30)
    fill_fast(batch, [sized])
    fits = len(encode_payload(bytearray(), BatchMessage(*batch._message))) <= limits.max_batch_bytes

    assert way(sized, limits) in (("batch", "single") if fits else ("single",))


def test_a_send_is_filled_up_to_its_limit() -> None:
    waiting = messages(100, 1000)

    chosen = fitting(waiting, Cut(50_000, 100))

    assert sum(m.size for m in chosen) > 50_000 - 1500


def test_without_waiting_messages_nothing_is_chosen() -> None:
    assert fitting([], Cut(1000, 10)) == []


@pytest.mark.parametrize(("body_bytes", "expected"), [(100, "batch"), (900, "single"), (2500, "oversize")])
def test_the_size_of_a_message_determines_how_it_is_sent(body_bytes: int, expected: str) -> None:
    assert way(message("a", body_bytes), LinkLimits(1000, 2000)) == expected


def test_a_message_of_exactly_the_link_limit_is_not_oversize() -> None:
    exact = message("a", 2000)

    assert way(exact, LinkLimits(1000, exact.size)) == "single"
    assert way(exact, LinkLimits(1000, exact.size - 1)) == "oversize"


def test_a_smaller_share_has_a_lower_bound() -> None:
    assert Cut(256 * 1024, 4000).scaled(1 / 64) == Cut(32 * 1024, 62)
    assert Cut(10_000, 1).scaled(1 / 64) == Cut(10_000, 1)

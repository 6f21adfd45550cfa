"""The encoder writes the same AMQP bytes as the SDK, for the SDK versions allowed in the provider's pyproject.toml."""

from __future__ import annotations

import time
from importlib.metadata import version

import pytest
from azure.servicebus import ServiceBusMessageBatch
from azure.servicebus._common import tracing
from azure.servicebus._pyamqp._decode import decode_payload
from azure.servicebus._pyamqp._encode import encode_payload
from azure.servicebus._pyamqp.message import BatchMessage
from azure.servicebus._transport._pyamqp_transport import PyamqpTransport
from dstream_servicebus.publish import sdk_batch
from dstream_servicebus.publish.encoder import Encoder, Head
from dstream_servicebus.publish.message import Message
from dstream_servicebus.publish.sdk_batch import choose_fill, fill_fast, fill_public, to_sdk_message
from dstream_servicebus.settings.timing import DeliveryTime
from hypothesis import given, settings
from hypothesis import strategies as st

texts = st.text(max_size=300)
ids = st.text(min_size=1, max_size=128)
bodies = st.binary(max_size=600)
CONTEXT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
contexts = st.sampled_from(["", CONTEXT, CONTEXT[:-2] + "00"])


@st.composite
def heads(draw: st.DrawFn) -> Head:
    session = draw(st.none() | ids)
    return Head(
        "application/json",
        session_id=session,
        partition_key=draw(st.just(session) if session else st.none() | ids),
        subject=draw(st.none() | texts),
        properties=tuple(draw(st.dictionaries(texts, texts, max_size=140)).items()),
        content_encoding=draw(st.none() | st.just("gzip")),
        scheduled=draw(
            st.none() | st.builds(DeliveryTime, at_ms=st.integers(0, 253_402_300_799_999), delay_ms=st.none())
        ),
    )


def wire_bytes(batch: ServiceBusMessageBatch) -> bytes:
    return bytes(encode_payload(bytearray(), BatchMessage(*batch._message)))


@settings(max_examples=60, deadline=None)
@given(heads(), st.lists(st.tuples(ids, bodies, contexts), min_size=1, max_size=4))
def test_the_fast_and_the_public_path_write_the_same_bytes(head: Head, events: list[tuple[str, bytes, str]]) -> None:
    encoder = Encoder(head)
    messages = [Message.of(encoder, message_id, body, traceparent=context) for message_id, body, context in events]
    fast, public = ServiceBusMessageBatch(1 << 20), ServiceBusMessageBatch(1 << 20)

    assert fill_fast(fast, messages) == fill_public(public, messages) == len(messages)

    assert wire_bytes(fast) == wire_bytes(public)
    assert len(fast) == len(public)


def test_the_paths_agree_where_short_encodings_become_long_ones() -> None:
    for length in range(190, 265):
        text = "x" * length
        for head in (
            Head("application/json", subject=text),
            Head("application/json", properties=(("p", text),)),
        ):
            messages = [Message.of(Encoder(head), "id", text.encode())]
            fast, public = ServiceBusMessageBatch(1 << 20), ServiceBusMessageBatch(1 << 20)
            fill_fast(fast, messages)
            fill_public(public, messages)
            assert wire_bytes(fast) == wire_bytes(public)


@pytest.mark.parametrize(
    "head",
    [
        Head("application/json", ttl_s=1),
        Head("application/json", ttl_s=4_294_967, partition_key="p"),
        Head("application/json", scheduled=DeliveryTime(delay_ms=1500)),
        Head("application/json", ttl_s=60, scheduled=DeliveryTime(delay_ms=600_000), session_id="s"),
    ],
)
def test_times_from_now_are_written_like_in_the_sdk(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")  # in other zones the SDK's creation time is off by the UTC offset
    time.tzset()
    encoder = Encoder(head)
    messages = [Message.of(encoder, "a", b"{}"), Message.of(encoder, "bcd", b"x" * 300)]

    def both() -> tuple[bytes, bytes]:
        fast, public = ServiceBusMessageBatch(1 << 20), ServiceBusMessageBatch(1 << 20)
        fill_fast(fast, messages)
        fill_public(public, messages)
        return wire_bytes(fast), wire_bytes(public)

    # The clock's second can change between the two, but not three times in a row.
    assert any(fast == public for fast, public in (both(), both(), both()))


@given(heads(), ids, bodies, contexts)
@settings(max_examples=60, deadline=None)
def test_a_message_has_the_predicted_size(head: Head, message_id: str, body: bytes, context: str) -> None:
    message = Message.of(Encoder(head), message_id, body, traceparent=context)

    assert len(message.encoder.encode(message_id.encode(), body, traceparent=context)) == message.size


def test_the_trace_context_is_written_as_azures_sdk_does() -> None:
    """As `trace_message` of azure-servicebus does, which calls this method of its transport."""
    head = Head("application/json", properties=(("a", "1"),))
    plain = to_sdk_message(Message.of(Encoder(head), "id", b"{}"))
    theirs = PyamqpTransport.to_outgoing_amqp_message(plain.raw_amqp_message)
    for name in (tracing.TRACE_DIAGNOSTIC_ID_PROPERTY, tracing.TRACE_PARENT_PROPERTY):
        theirs = PyamqpTransport.update_message_app_properties(theirs, name, CONTEXT)

    ours = Encoder(head).encode(b"id", b"{}", traceparent=CONTEXT)

    sent = decode_payload(memoryview(ours)).application_properties
    assert {bytes(name): bytes(value) for name, value in sent.items()} == {
        b"a": b"1",
        b"Diagnostic-Id": CONTEXT.encode(),
        b"traceparent": CONTEXT.encode(),
    }
    assert ours == bytes(encode_payload(bytearray(), theirs))


def test_a_property_of_the_settings_wins_over_the_trace_context() -> None:
    head = Head("application/json", properties=(("traceparent", "mine"),))
    message = Message.of(Encoder(head), "id", b"{}", traceparent=CONTEXT)

    assert to_sdk_message(message).application_properties == {"traceparent": "mine", "Diagnostic-Id": CONTEXT}


def test_messages_of_one_head_have_their_own_contexts() -> None:
    encoder = Encoder(Head("application/json"))
    first, second = ("", CONTEXT, ""), (CONTEXT, "", CONTEXT)
    plain, traced = encoder.encode(b"id", b"{}"), encoder.encode(b"id", b"{}", traceparent=CONTEXT)

    assert plain != traced
    for context in first + second:
        assert encoder.encode(b"id", b"{}", traceparent=context) == (traced if context else plain)


def test_the_installed_sdk_uses_the_fast_path() -> None:
    assert version("azure-servicebus").startswith("7.15.")
    assert choose_fill() == (fill_fast, "")


def test_an_sdk_with_different_internals_uses_the_public_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def has_no_private_message(batch: ServiceBusMessageBatch, messages: list[Message]) -> int:
        raise AttributeError("'ServiceBusMessageBatch' object has no attribute '_message'")

    monkeypatch.setattr(sdk_batch, "fill_fast", has_no_private_message)

    fill, why = choose_fill()

    assert fill is fill_public
    assert "_message" in why


def test_an_sdk_with_different_bytes_uses_the_public_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dstream_servicebus.publish.encoder._symbol", lambda text: b"\xa3\x01x")

    fill, why = choose_fill()

    assert fill is fill_public
    assert "differently" in why


def test_the_public_path_stops_when_the_batch_is_full() -> None:
    encoder = Encoder(Head("application/json"))
    messages = [Message.of(encoder, str(n), b"x" * 400) for n in range(10)]

    assert fill_public(ServiceBusMessageBatch(1500), messages) == 3

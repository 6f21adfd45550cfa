"""Messages of real clients come back with the broker's annotations and are otherwise unchanged."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus._pyamqp._decode import decode_payload
from azure.servicebus._pyamqp._encode import encode_payload
from azure.servicebus._transport._pyamqp_transport import PyamqpTransport
from dstream_sandbox.servicebus.amqp.decode import decode
from dstream_sandbox.servicebus.amqp.encode import encode, encode_composite
from dstream_sandbox.servicebus.amqp.sections import BATCH_FORMAT, count_data, data_bodies, scan
from dstream_sandbox.servicebus.amqp.values import Char, MalformedValue, Short, Symbol, Timestamp, UInt
from dstream_sandbox.servicebus.core import AmqpError, Delivery
from dstream_sandbox.servicebus.nodes.intake import parse_message, parse_transfer
from dstream_sandbox.servicebus.nodes.rendering import render
from hypothesis import given
from hypothesis import strategies as st

_TOKEN = bytes(range(16))


def _as_the_sdk_sends(message: ServiceBusMessage) -> bytes:
    out = bytearray()
    encode_payload(out, PyamqpTransport.to_outgoing_amqp_message(message._raw_amqp_message))
    return bytes(out)


def _decoded(rendered: bytes) -> Any:
    """Decode a message as the SDK does."""
    return decode_payload(memoryview(rendered))


def _data(octets: bytes) -> bytes:
    return b"\x00\x53\x75" + encode(octets)


def _delivery(encoded: bytes, **changes: object) -> Delivery:
    values: dict[str, object] = {
        "message": parse_message(encoded),
        "sequence_number": 7,
        "enqueued_at": 1000.5,
        "delivery_count": 2,
        "lock_token": _TOKEN,
        "locked_until": 1030.5,
        **changes,
    }
    return Delivery(**values)  # type: ignore[arg-type]  # tests can change any field


def test_the_brokers_fields_are_read_from_an_sdk_message() -> None:
    scheduled = datetime(2030, 1, 1, tzinfo=UTC)
    encoded = _as_the_sdk_sends(
        ServiceBusMessage(
            b"body",
            message_id="m1",
            session_id="s1",
            partition_key="s1",
            subject="label",
            time_to_live=timedelta(seconds=90),
            scheduled_enqueue_time_utc=scheduled,
            application_properties={"op": "insert", "n": 3},
        )
    )
    message = parse_message(encoded)
    assert message.encoded == encoded
    assert (message.message_id, message.session_id, message.partition_key) == ("m1", "s1", "s1")
    assert (message.ttl_s, message.scheduled_at) == (90.0, scheduled.timestamp())
    assert message.application_properties() == {"op": "insert", "n": 3}
    assert message.properties()["subject"] == "label"


def test_without_a_ttl_the_absolute_expiry_applies() -> None:
    properties = ["m", *[None] * 7, Timestamp(61_500), Timestamp(1_000)]
    assert parse_message(encode_composite(0x73, properties) + _data(b"x")).ttl_s == 60.5


@pytest.mark.parametrize(
    "head",
    [
        b"",
        encode_composite(0x73, []),
        encode_composite(0x73, [None, None, "to", "label"]),
        b"\x00\x53\x74" + encode({"a": 1}),
    ],
)
def test_a_message_without_an_id_gets_one_and_keeps_the_rest(head: bytes) -> None:
    message = parse_message(head + _data(b"x"))
    assert message.message_id
    again = parse_message(message.encoded)
    assert again.message_id == message.message_id
    assert again.encoded.endswith(_data(b"x"))
    assert again.properties().get("subject") == ("label" if b"label" in head else None)
    assert again.application_properties() == ({"a": 1} if b"\x00\x53\x74" in head else {})


def test_a_batch_is_split_into_its_data_sections() -> None:
    members = [_as_the_sdk_sends(ServiceBusMessage(b"x" * size, message_id=str(size))) for size in (1, 250, 70_000)]
    envelope = encode_composite(0x73, ["first"]) + b"".join(_data(member) for member in members)
    messages = parse_transfer(BATCH_FORMAT, envelope)
    assert [message.encoded for message in messages] == members
    assert count_data(envelope) == 3


@pytest.mark.parametrize(
    ("properties", "refusal"),
    [
        ({"a": "x" * 32 * 1024}, None),
        ({"a": "x" * 32 * 1024 + "y"}, "amqp:internal-error"),
        (dict.fromkeys("abc", "x" * 30000), "amqp:link:message-size-exceeded"),
    ],
)
def test_properties_have_the_services_limits(properties: dict[str, str], refusal: str | None) -> None:
    encoded = _as_the_sdk_sends(ServiceBusMessage(b"x", application_properties=dict(properties)))
    with pytest.raises(AmqpError, match=refusal) if refusal else contextlib.nullcontext():
        parse_transfer(0, encoded)


@pytest.mark.parametrize("payload", [b"", encode_composite(0x73, ["m"]), b"\x00\x53\x77" + encode("value")])
def test_a_batch_without_data_is_refused(payload: bytes) -> None:
    with pytest.raises(AmqpError, match="no data in it"):
        parse_transfer(BATCH_FORMAT, payload)


@pytest.mark.parametrize(
    "garbage", [b"\x01", b"\x00\x53\x75\xb0\xff\xff\xff\xff", b"\x00\x53\x10\x45", b"\x00\x53\x79\x45"]
)
def test_garbage_is_refused_alone_and_in_a_batch(garbage: bytes) -> None:
    with pytest.raises(AmqpError, match="amqp:decode-error"):
        parse_transfer(0, garbage)
    with pytest.raises(AmqpError, match="amqp:decode-error"):
        parse_transfer(BATCH_FORMAT, _data(_data(b"good")) + _data(garbage))


@given(st.binary(max_size=80))
def test_the_parser_raises_only_amqp_errors(octets: bytes) -> None:
    for payload in (octets, b"\x00\x53\x73" + octets, b"\x00\x53\x72" + octets, b"\x00\x53\x70" + octets):
        with contextlib.suppress(AmqpError):
            parse_transfer(0, payload)


@given(st.lists(st.binary(max_size=300)))
def test_counting_data_sections_agrees_with_splitting_them(bodies: list[bytes]) -> None:
    payload = b"".join(map(_data, bodies))
    assert data_bodies(payload, 0) == bodies
    assert count_data(payload) == len(bodies)
    if bodies:
        with pytest.raises(MalformedValue):
            scan(payload[: 3 + len(encode(bodies[0])) - 1])


def test_a_delivery_carries_the_brokers_header_and_annotations() -> None:
    encoded = _as_the_sdk_sends(ServiceBusMessage(b"body", message_id="m", application_properties={"a": 1}))
    received = _decoded(render(_delivery(encoded)))
    assert received.header.delivery_count == 2
    assert received.message_annotations == {
        b"x-opt-enqueued-time": 1_000_500,
        b"x-opt-sequence-number": 7,
        b"x-opt-locked-until": 1_030_500,
        b"x-opt-message-state": 0,
    }
    assert received.application_properties == {b"a": 1}
    assert b"".join(received.data) == b"body"


def test_the_senders_sections_are_unchanged_byte_for_byte() -> None:
    rest = (
        encode_composite(0x73, ["m", b"user"])
        + b"\x00\x53\x74"
        + encode({"c": Char("x"), "s": Short(5), "y": Symbol("z")})
        + b"\x00\x53\x76"
        + encode([1, 2])
        + b"\x00\x53\x76"
        + encode([3])
        + b"\x00\x53\x78"
        + encode({Symbol("f"): 1})
    )
    encoded = encode_composite(0x70, [True, None, UInt(5000)]) + b"\x00\x53\x72" + encode({Symbol("x-mine"): Short(1)})
    rendered = render(_delivery(encoded + rest))
    assert rendered.endswith(rest)
    sections = scan(rendered)
    assert sections.header is not None
    assert sections.message_annotations is not None
    assert decode(rendered, sections.header[1])[0] == [True, None, 5000, None, 2]
    annotations = decode(rendered, sections.message_annotations[1])[0]
    assert isinstance(annotations, dict)
    assert type(annotations["x-mine"]) is Short


def test_both_ways_to_write_annotations_agree() -> None:
    plain = render(_delivery(_data(b"x"), sequence_number=1 << 40))
    general = render(_delivery(b"\x00\x53\x72" + encode({}) + _data(b"x"), sequence_number=1 << 40))
    assert plain.partition(b"\x00\x53\x73")[0] == general.partition(b"\x00\x53\x73")[0]


def test_changed_properties_are_merged_and_others_keep_their_types() -> None:
    encoded = encode_composite(0x73, ["m"]) + b"\x00\x53\x74" + encode({"a": Short(1), "b": "old"}) + _data(b"x")
    delivery = _delivery(encoded, set_properties={"b": "new", "DeadLetterReason": "why"}, dead_letter_source="orders")
    rendered = render(delivery)
    sections = scan(rendered)
    assert sections.application_properties is not None
    properties = decode(rendered, sections.application_properties[1])[0]
    assert properties == {"a": 1, "b": "new", "DeadLetterReason": "why"}
    assert isinstance(properties, dict)
    assert type(properties["a"]) is Short
    assert rendered.endswith(_data(b"x"))
    received = _decoded(rendered)
    assert received.message_annotations[b"x-opt-deadletter-source"] == b"orders"


def test_an_embedded_message_carries_its_lock_token() -> None:
    received = _decoded(render(_delivery(_data(b"x"), state="deferred"), embedded=True))
    assert received.delivery_annotations[b"x-opt-lock-token"].bytes_le == _TOKEN
    assert received.message_annotations[b"x-opt-message-state"] == 1

"""What other SDKs rely on and the Python SDK does not expose, frame by frame."""

from __future__ import annotations

import base64
import os
from typing import Any, Literal
from uuid import uuid4

import pytest
from dstream_sandbox.servicebus.amqp import frames
from dstream_sandbox.servicebus.amqp.decode import decode
from dstream_sandbox.servicebus.amqp.performatives import Code
from dstream_sandbox.servicebus.amqp.sections import BATCH_FORMAT, scan
from dstream_sandbox.servicebus.amqp.values import Char, Described, Int, Short, Symbol, UInt, ULong
from dstream_sandbox.servicebus.amqp.websocket import WebSocket
from dstream_sandbox.servicebus.broker.descriptions import AuthorizationRule
from dstream_sandbox.servicebus.faults import Fault

from tests.integration.sandbox_amqp.namespace_thread import KEY, KEY_NAME, LISTENER_KEY, LISTENER_NAME, NamespaceThread
from tests.integration.sandbox_amqp.wire_client import WireClient, data, message

_FILTER = Symbol("com.microsoft:session-filter")


def test_a_drain_is_answered_by_a_flow_with_drain_set(namespace: NamespaceThread, wire: WireClient) -> None:
    queue = namespace.queue()
    wire.store(queue, message(b"one"))
    wire.attach_receiver(1, queue)
    wire.give_credit(1, 10, drain=True)
    wire.expect(Code.TRANSFER)
    flow = wire.expect(Code.FLOW)
    assert (flow[4], flow[5], flow[6], flow[8]) == (1, 10, 0, True)


def test_credit_is_counted_from_the_peers_delivery_count(namespace: NamespaceThread, wire: WireClient) -> None:
    queue = namespace.queue()
    wire.store(queue, *(message(b"x", str(n)) for n in range(5)))
    wire.attach_receiver(1, queue, settled=True)
    wire.give_credit(1, 2)
    wire.expect(Code.TRANSFER)
    wire.expect(Code.TRANSFER)
    wire.give_credit(1, 2)  # repeats the flow sent before the two transfers: no new credit
    wire.give_credit(1, 0, delivery_count=2, drain=True)
    assert wire.expect(Code.FLOW)[8] is True


@pytest.mark.parametrize("described", [False, True], ids=["plain", "described"])
def test_a_session_filter_is_returned_in_the_form_it_was_sent(
    namespace: NamespaceThread, wire: WireClient, described: bool
) -> None:
    queue = namespace.queue(requires_session=True)
    wire.store(queue, message(b"x", session="s1"))
    for handle, wanted in ((1, None), (2, "other")):
        sent = Described(ULong(0x00000137000000C), wanted) if described else wanted
        wire.attach_receiver(handle, queue, filters={_FILTER: sent})
        reply = wire.expect(Code.ATTACH)
        session = wanted or "s1"
        assert reply[5].value[7] == {_FILTER: Described(ULong(0x00000137000000C), session) if described else session}
        assert reply[5].value[0] == queue
        assert reply[13]["com.microsoft:locked-until-utc"] > 638_000_000_000_000_000


def test_waiting_for_a_session_ends_after_the_clients_timeout(namespace: NamespaceThread, wire: WireClient) -> None:
    queue = namespace.queue(requires_session=True)
    timeout: dict[object, object] = {Symbol("com.microsoft:timeout"): UInt(100)}
    wire.attach_receiver(1, queue, filters={_FILTER: None}, properties=timeout)
    assert wire.expect_refusal() == "com.microsoft:timeout"


def test_a_client_that_stops_waiting_for_a_session_leaves_it_free(namespace: NamespaceThread, wire: WireClient) -> None:
    queue = namespace.queue(requires_session=True)
    wire.attach_receiver(1, queue, filters={_FILTER: None})
    wire.send(Code.DETACH, [UInt(1), True])
    wire.expect(Code.DETACH)
    wire.store(queue, message(b"x", session="s1"))
    wire.attach_receiver(2, queue, filters={_FILTER: None})
    wire.give_credit(2, 1)
    assert wire.expect(Code.TRANSFER)[0] == 2


def test_the_clients_idle_timeout_is_honoured(namespace: NamespaceThread) -> None:
    with WireClient(namespace.amqp_port, idle_timeout_ms=300) as wire:
        wire.login(KEY_NAME, KEY)
        wire.socket.settimeout(60)
        while wire.heartbeats < 3:
            assert wire.read_octets(8) == frames.EMPTY_FRAME
            wire.heartbeats += 1


def test_an_attach_without_a_token_is_unauthorized(namespace: NamespaceThread) -> None:
    queue = namespace.queue()
    with WireClient(namespace.amqp_port) as wire:
        wire.open()
        wire.attach_sender(1, queue)
        assert wire.expect_refusal() == "amqp:unauthorized-access"
        wire.attach_receiver(2, queue)
        assert wire.expect_refusal() == "amqp:unauthorized-access"
        wire.attach_sender(3, f"{queue}/$management")
        assert wire.expect_refusal() == "amqp:unauthorized-access"


def test_a_token_authorizes_its_entity_only(namespace: NamespaceThread) -> None:
    queue, other = namespace.queue(), namespace.queue()
    with WireClient(namespace.amqp_port) as wire:
        wire.open()
        answer = wire.put_token(f"sb://localhost/{queue}", KEY_NAME, KEY)
        assert answer["status-code"] == 202
        wire.attach_sender(1, f"amqps://localhost:5671/{queue.upper()}")
        assert wire.expect(Code.ATTACH)[6].value[0].endswith(queue.upper())
        wire.attach_sender(2, other)
        assert wire.expect_refusal() == "amqp:unauthorized-access"


def test_cbs_distinguishes_wrong_tokens_from_missing_entities(namespace: NamespaceThread) -> None:
    queue = namespace.queue()
    with WireClient(namespace.amqp_port) as wire:
        wire.open()
        assert wire.put_token(f"sb://localhost/{queue}", KEY_NAME, "wrong")["status-code"] == 401
        assert wire.put_token(f"sb://localhost/{queue}", KEY_NAME, KEY, lifetime_s=-1)["status-code"] == 401
        assert wire.put_token("sb://localhost/nothing-here", KEY_NAME, KEY)["status-code"] == 404
        assert wire.put_token(f"sb://localhost/{queue}/$management", KEY_NAME, KEY)["status-code"] == 202


def test_a_listen_only_policy_cannot_send(namespace: NamespaceThread) -> None:
    queue = namespace.queue()
    with WireClient(namespace.amqp_port) as wire:
        wire.login(LISTENER_NAME, LISTENER_KEY)
        wire.attach_receiver(1, queue)
        assert wire.expect(Code.ATTACH)[5] is not None
        wire.attach_sender(2, queue)
        assert wire.expect_refusal() == "amqp:unauthorized-access"


def test_an_entity_policy_authorizes_only_its_entity_and_rights(namespace: NamespaceThread) -> None:
    queue = namespace.queue(authorization_rules=(AuthorizationRule("sender", ("Send",), "first", "second"),))
    other = namespace.queue()
    with WireClient(namespace.amqp_port) as wire:
        wire.open()
        assert wire.put_token(f"sb://localhost/{queue}", "sender", "second")["status-code"] == 202
        wire.attach_sender(1, queue)
        assert wire.expect(Code.ATTACH)[6] is not None
        wire.attach_receiver(2, queue)
        assert wire.expect_refusal() == "amqp:unauthorized-access"
        assert wire.put_token(f"sb://localhost/{other}", "sender", "first")["status-code"] == 401


def test_a_wrong_password_closes_the_connection(namespace: NamespaceThread) -> None:
    with WireClient(namespace.amqp_port) as wire:
        assert wire.open("PLAIN", b"\0" + KEY_NAME.encode() + b"\0wrong") == 1
        with pytest.raises(ConnectionError):
            wire.read_octets(1)


def test_a_batch_is_stored_whole_or_not_at_all(namespace: NamespaceThread, wire: WireClient) -> None:
    queue = namespace.queue()
    wire.attach_sender(1, queue)
    wire.transfer(1, 0, data(message(b"good")) + data(b"\x01garbage"), message_format=BATCH_FORMAT)
    assert wire.expect(Code.DISPOSITION)[4].descriptor == Code.REJECTED
    wire.transfer(1, 1, data(message(b"a")) + data(message(b"b")), message_format=BATCH_FORMAT)
    accepted = wire.expect(Code.DISPOSITION)
    assert (accepted[1], accepted[3], accepted[4].descriptor) == (1, True, Code.ACCEPTED)
    wire.attach_receiver(2, queue, settled=True)
    wire.give_credit(2, 10, drain=True)
    assert [wire.expect(Code.TRANSFER).payload.endswith(data(body)) for body in (b"a", b"b")] == [True, True]
    assert wire.expect(Code.FLOW)[8] is True


def test_primitives_keep_their_exact_type_through_the_broker(namespace: NamespaceThread, wire: WireClient) -> None:
    queue = namespace.queue()
    sent: dict[str, Any] = {
        "char": Char("x"),
        "short": Short(5),
        "int": Int(5),
        "long": 5,
        "symbol": Symbol("s"),
        "uuid": uuid4(),
    }
    wire.store(queue, message(b"x", **sent))
    wire.attach_receiver(1, queue, settled=True)
    wire.give_credit(1, 1)
    payload = wire.expect(Code.TRANSFER).payload
    sections = scan(payload)
    assert sections.application_properties is not None
    got = decode(payload, sections.application_properties[1])[0]
    assert isinstance(got, dict)
    assert {name: type(value) for name, value in got.items()} == {name: type(value) for name, value in sent.items()}
    assert got == sent


def test_a_range_of_settlements_is_answered_as_a_range(namespace: NamespaceThread, wire: WireClient) -> None:
    queue = namespace.queue()
    wire.store(queue, *(message(b"x", str(n)) for n in range(4)))
    wire.attach_receiver(1, queue)
    wire.give_credit(1, 4)
    tags = [wire.expect(Code.TRANSFER)[2] for _ in range(4)]
    assert len(set(tags)) == 4
    wire.send(Code.DISPOSITION, [True, UInt(0), UInt(3), False, Described(ULong(Code.ACCEPTED), [])])
    answer = wire.expect(Code.DISPOSITION)
    assert (answer[0], answer[1], answer[2], answer[3]) == (False, 0, 3, True)
    assert answer[4].descriptor == Code.ACCEPTED


def test_properties_to_modify_are_applied_on_abandon(namespace: NamespaceThread, wire: WireClient) -> None:
    queue = namespace.queue()
    wire.store(queue, message(b"x", kept=1))
    wire.attach_receiver(1, queue)
    wire.give_credit(1, 2)
    wire.expect(Code.TRANSFER)
    changes = {"tries": Int(1)}
    wire.send(Code.DISPOSITION, [True, UInt(0), None, True, Described(ULong(Code.MODIFIED), [True, None, changes])])
    payload = wire.expect(Code.TRANSFER).payload
    sections = scan(payload)
    assert sections.application_properties is not None
    assert decode(payload, sections.application_properties[1])[0] == {"kept": 1, "tries": 1}


def test_a_released_delivery_is_not_stored(namespace: NamespaceThread, wire: WireClient) -> None:
    queue = namespace.queue()
    namespace.on_loop(namespace.server.faults.add, Fault("release", entity=queue, times=1))
    wire.attach_sender(1, queue)
    wire.transfer(1, 0, message(b"x"))
    assert wire.expect(Code.DISPOSITION)[4].descriptor == Code.RELEASED
    assert namespace.on_loop(namespace.broker.peek, queue, 0, 10, None) == []


def test_an_answer_can_be_a_refusal_although_the_message_is_stored(
    namespace: NamespaceThread, wire: WireClient
) -> None:
    queue = namespace.queue()
    wire.attach_sender(1, queue)
    for number, (fault, answer) in enumerate(
        [
            (Fault("reject", entity=queue, at="after_store", times=1), Code.REJECTED),
            (Fault("release", entity=queue, at="after_store", times=1), Code.RELEASED),
        ]
    ):
        namespace.on_loop(namespace.server.faults.add, fault)
        wire.transfer(1, number, message(b"x"))
        assert wire.expect(Code.DISPOSITION)[4].descriptor == answer
        assert len(namespace.on_loop(namespace.broker.peek, queue, 0, 10, None)) == number + 1


def test_an_idle_sender_is_detached_or_dropped_at_once(namespace: NamespaceThread, wire: WireClient) -> None:
    queue = namespace.queue()
    wire.attach_sender(1, queue)
    wire.expect(Code.FLOW)
    fault = Fault("detach", entity=queue, at="idle", condition="amqp:link:detach-forced", times=1)
    namespace.on_loop(namespace.server.faults.add, fault)
    assert str(wire.expect(Code.DETACH)[2].value[0]) == "amqp:link:detach-forced"
    wire.attach_sender(2, queue)
    wire.expect(Code.FLOW)
    namespace.on_loop(namespace.server.faults.add, Fault("drop", entity=queue, at="idle", times=1))
    with pytest.raises(ConnectionError):
        wire.read_frame()


@pytest.mark.parametrize("at", ["before_store", "after_store"])
def test_a_settlement_can_be_lost_before_or_after_the_store(
    namespace: NamespaceThread, wire: WireClient, at: Literal["before_store", "after_store"]
) -> None:
    queue = namespace.queue()
    wire.store(queue, message(b"x"))
    wire.attach_receiver(1, queue)
    wire.give_credit(1, 1)
    wire.expect(Code.TRANSFER)
    namespace.on_loop(namespace.server.faults.add, Fault("drop", entity=queue, on="receive", at=at, times=1))
    wire.send(Code.DISPOSITION, [True, UInt(0), None, False, Described(ULong(Code.ACCEPTED), [])])
    with pytest.raises(ConnectionError):
        wire.read_frame()
    left = namespace.on_loop(namespace.broker.peek, queue, 0, 10, None)
    assert len(left) == (1 if at == "before_store" else 0)


def test_a_receiver_is_detached_on_request(namespace: NamespaceThread, wire: WireClient) -> None:
    queue = namespace.queue()
    fault = Fault("detach", entity=queue, on="receive", condition="amqp:link:detach-forced", times=1)
    namespace.on_loop(namespace.server.faults.add, fault)
    wire.attach_receiver(1, queue)
    wire.expect(Code.ATTACH)
    wire.give_credit(1, 1)
    assert str(wire.expect(Code.DETACH)[2].value[0]) == "amqp:link:detach-forced"


def test_a_protocol_error_ends_only_the_session_or_connection(namespace: NamespaceThread, wire: WireClient) -> None:
    queue = namespace.queue()
    wire.attach_sender(1, queue)
    wire.attach_sender(1, queue)
    assert str(wire.expect(Code.END)[0].value[0]) == "amqp:session:handle-in-use"
    wire.socket.sendall(b"\x00\x00\x00\x0c\x02\x00\x00\x00\xff\xff\xff\xff")
    assert str(wire.expect(Code.CLOSE)[0].value[0]) == "amqp:decode-error"


def test_an_echo_is_answered(namespace: NamespaceThread, wire: WireClient) -> None:
    wire.send(Code.FLOW, [UInt(0), UInt(10), UInt(0), UInt(10), *[None] * 5, True])
    assert wire.read_frame().code == Code.FLOW


def test_a_small_window_holds_deliveries_back_until_it_opens(namespace: NamespaceThread, wire: WireClient) -> None:
    queue = namespace.queue()
    wire.store(queue, *(message(b"x", str(n)) for n in range(3)))
    wire.attach_receiver(1, queue, settled=True)
    wire.expect(Code.ATTACH)
    wire.send(Code.FLOW, [UInt(0), UInt(1), UInt(0), UInt(10), UInt(1), UInt(0), UInt(3), None, None, None])
    wire.expect(Code.TRANSFER)
    wire.send(Code.FLOW, [UInt(1), UInt(0), UInt(0), UInt(10), *[None] * 5, True])
    assert wire.read_frame().code == Code.FLOW  # and no transfer before it
    wire.send(Code.FLOW, [UInt(1), UInt(10), UInt(0), UInt(10)])
    wire.expect(Code.TRANSFER)
    wire.expect(Code.TRANSFER)


def test_amqp_runs_over_a_websocket(namespace: NamespaceThread) -> None:
    with WireClient(namespace.amqp_port) as wire:
        key = base64.b64encode(os.urandom(16)).decode()
        wire.socket.sendall(
            f"GET /$servicebus/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: AMQPWSB10\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += wire.read_octets(1)
        assert head.startswith(b"HTTP/1.1 101")
        unmasked = WebSocket.wrap(frames.SASL_HEADER)
        wire.socket.sendall(bytes((unmasked[0], unmasked[1] | 0x80)) + b"\0\0\0\0" + unmasked[2:])
        received = WebSocket()
        octets = b""
        while len(octets) < 16:
            octets += received.feed(wire.socket.recv(1000))
        assert octets.startswith(frames.SASL_HEADER)


def test_an_unknown_protocol_is_answered_with_the_supported_one(namespace: NamespaceThread) -> None:
    with WireClient(namespace.amqp_port) as wire:
        wire.socket.sendall(b"AMQP\x00\x00\x09\x01")
        assert wire.read_octets(8) == frames.SASL_HEADER
        with pytest.raises(ConnectionError):
            wire.read_octets(1)

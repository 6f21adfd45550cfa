"""What expires: locks, sessions, tokens. The tests advance the namespace's clock instead of waiting."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusMessage
from dstream_sandbox.servicebus.amqp.encode import encode, encode_composite
from dstream_sandbox.servicebus.amqp.performatives import Code
from dstream_sandbox.servicebus.amqp.values import Described, Symbol, UInt, ULong

from tests.integration.sandbox_amqp.namespace_thread import KEY, KEY_NAME, NamespaceThread
from tests.integration.sandbox_amqp.wire_client import WireClient

_MESSAGE = encode_composite(0x73, ["m"]) + b"\x00\x53\x75" + encode(b"x")


@pytest.fixture(scope="module")
def ageing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamespaceThread]:
    namespace = NamespaceThread(tmp_path_factory.mktemp("ageing"), profile="premium").start()
    yield namespace
    namespace.stop()


@pytest.fixture
def wire(ageing: NamespaceThread) -> Iterator[WireClient]:
    with WireClient(ageing.amqp_port) as client:
        client.login(KEY_NAME, KEY)
        yield client


def test_a_receiver_loses_a_session_whose_lock_expired(ageing: NamespaceThread, wire: WireClient) -> None:
    wire.attach_receiver(1, ageing.queue(requires_session=True), filters={Symbol("com.microsoft:session-filter"): "s1"})
    assert wire.expect(Code.ATTACH)[5] is not None
    ageing.advance(61)
    assert str(wire.expect(Code.DETACH)[2].value[0]) == "com.microsoft:session-lock-lost"


def test_a_message_whose_lock_expired_is_redelivered(ageing: NamespaceThread, wire: WireClient) -> None:
    queue = ageing.queue()
    wire.attach_sender(0, queue)
    wire.transfer(0, 0, _MESSAGE)
    wire.expect(Code.DISPOSITION)
    wire.attach_receiver(1, queue)
    wire.give_credit(1, 2)
    wire.expect(Code.TRANSFER)
    ageing.advance(61)
    assert wire.expect(Code.TRANSFER)[1] == 1
    wire.send(Code.DISPOSITION, [True, UInt(0), None, False, Described(ULong(Code.ACCEPTED), [])])
    answer = wire.expect(Code.DISPOSITION)
    assert (answer[1], answer[4].descriptor) == (0, Code.REJECTED)
    assert str(answer[4].value[0].value[0]) == "com.microsoft:message-lock-lost"


def test_links_do_not_outlive_their_token(ageing: NamespaceThread) -> None:
    queue = ageing.queue()
    with WireClient(ageing.amqp_port) as wire:
        wire.open()
        assert wire.put_token(f"sb://localhost/{queue}", KEY_NAME, KEY, lifetime_s=600)["status-code"] == 202
        wire.attach_sender(1, queue)
        wire.attach_receiver(2, queue)
        wire.transfer(1, 0, _MESSAGE)
        assert wire.expect(Code.DISPOSITION)[4].descriptor == Code.ACCEPTED
        ageing.advance(601)
        wire.transfer(1, 1, _MESSAGE)
        rejected = wire.expect(Code.DISPOSITION)[4]
        assert str(rejected.value[0].value[0]) == "amqp:unauthorized-access"
        wire.give_credit(2, 1)
        assert str(wire.expect(Code.DETACH)[2].value[0]) == "amqp:unauthorized-access"


def test_premium_accepts_large_messages_but_not_larger_batches(ageing: NamespaceThread) -> None:
    queue = ageing.queue(max_message_size_kb=102_400)
    body = bytes(range(256)) * 12_000
    with ageing.client() as client:
        with client.get_queue_sender(queue) as sender:
            assert sender.create_message_batch().max_size_in_bytes == 1024 * 1024
            sender.send_messages(ServiceBusMessage(body))
        with client.get_queue_receiver(queue) as receiver:
            [message] = receiver.receive_messages(1, max_wait_time=10)
            assert b"".join(message.body) == body


def test_a_client_waiting_for_a_session_does_not_delay_the_stop(tmp_path: Path) -> None:
    namespace = NamespaceThread(tmp_path).start()
    queue = namespace.queue(requires_session=True)
    with WireClient(namespace.amqp_port) as wire:
        wire.login(KEY_NAME, KEY)
        wire.attach_receiver(1, queue, filters={Symbol("com.microsoft:session-filter"): None})
        wire.send(Code.FLOW, [UInt(0), UInt(10), UInt(0), UInt(10), *[None] * 5, True])
        wire.expect(Code.FLOW)  # the attach has been processed
        start = time.monotonic()
        namespace.stop()
        assert time.monotonic() - start < 30

"""The real azure-servicebus SDK sends, receives and settles."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceiveMode,
    ServiceBusReceiver,
    ServiceBusSubQueue,
)
from azure.servicebus.aio import ServiceBusClient as AsyncServiceBusClient
from azure.servicebus.exceptions import MessageLockLostError, MessageSizeExceededError, OperationTimeoutError

from tests.integration.sandbox_amqp.namespace_thread import NamespaceThread


def _receive(receiver: ServiceBusReceiver, count: int) -> list[str]:
    """Receive and complete `count` messages; return their bodies."""
    bodies: list[str] = []
    while len(bodies) < count:
        messages = receiver.receive_messages(count - len(bodies), max_wait_time=10)
        assert messages, f"only {bodies} arrived"
        for message in messages:
            bodies.append(str(message))
            receiver.complete_message(message)
    return bodies


def _send(client: ServiceBusClient, queue: str, *bodies: str, **properties: object) -> None:
    with client.get_queue_sender(queue) as sender:
        sender.send_messages([ServiceBusMessage(body, **properties) for body in bodies])  # type: ignore[arg-type]


def test_single_messages_and_a_batch_arrive_in_order_with_their_properties(
    namespace: NamespaceThread, client: ServiceBusClient
) -> None:
    queue = namespace.queue()
    with client.get_queue_sender(queue) as sender:
        sender.send_messages(
            ServiceBusMessage(
                "one",
                message_id="id-1",
                subject="label",
                correlation_id="c",
                content_type="text/plain",
                reply_to="r",
                application_properties={"op": "insert", "n": 5, "ratio": 0.5, "yes": True},
            )
        )
        batch = sender.create_message_batch()
        assert batch.max_size_in_bytes == 256 * 1024
        for number in range(2, 60):
            batch.add_message(ServiceBusMessage(f"{number}", message_id=f"id-{number}"))
        sender.send_messages(batch)
    with client.get_queue_receiver(queue) as receiver:
        [first] = receiver.receive_messages(1, max_wait_time=10)
        assert (str(first), first.message_id, first.subject, first.correlation_id) == ("one", "id-1", "label", "c")
        assert (first.content_type, first.reply_to) == ("text/plain", "r")
        assert first.application_properties == {b"op": b"insert", b"n": 5, b"ratio": 0.5, b"yes": True}
        assert first.delivery_count == 0
        assert first.locked_until_utc is not None
        assert first.locked_until_utc > datetime.now(UTC)
        receiver.complete_message(first)
        assert _receive(receiver, 58) == [str(number) for number in range(2, 60)]


def test_an_abandoned_message_is_redelivered_and_counted(namespace: NamespaceThread, client: ServiceBusClient) -> None:
    queue = namespace.queue()
    _send(client, queue, "again")
    with client.get_queue_receiver(queue) as receiver:
        [message] = receiver.receive_messages(1, max_wait_time=10)
        receiver.abandon_message(message)
        [message] = receiver.receive_messages(1, max_wait_time=10)
        assert message.delivery_count == 1
        receiver.complete_message(message)


def test_a_dead_lettered_message_carries_its_reason(namespace: NamespaceThread, client: ServiceBusClient) -> None:
    queue = namespace.queue()
    _send(client, queue, "bad", application_properties={"mine": 1})
    with client.get_queue_receiver(queue) as receiver:
        [message] = receiver.receive_messages(1, max_wait_time=10)
        receiver.dead_letter_message(message, reason="because", error_description="it is so")
    with client.get_queue_receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver:
        [message] = receiver.receive_messages(1, max_wait_time=10)
        assert (message.dead_letter_reason, message.dead_letter_error_description) == ("because", "it is so")
        assert message.application_properties is not None
        assert message.application_properties[b"mine"] == 1
        receiver.complete_message(message)


def test_a_deferred_message_is_received_by_its_sequence_number(
    namespace: NamespaceThread, client: ServiceBusClient
) -> None:
    queue = namespace.queue()
    _send(client, queue, "later")
    with client.get_queue_receiver(queue) as receiver:
        [message] = receiver.receive_messages(1, max_wait_time=10)
        number = message.sequence_number
        assert number is not None
        receiver.defer_message(message)
        assert receiver.receive_messages(1, max_wait_time=0.3) == []
        [deferred] = receiver.receive_deferred_messages(number)
        assert str(deferred) == "later"
        receiver.complete_message(deferred)
        assert receiver.peek_messages() == []


def test_receive_and_delete_leaves_nothing(namespace: NamespaceThread, client: ServiceBusClient) -> None:
    queue = namespace.queue()
    _send(client, queue, "a", "b", "c")
    with client.get_queue_receiver(queue, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE) as receiver:
        got: list[str] = []
        while len(got) < 3:
            got += [str(message) for message in receiver.receive_messages(3, max_wait_time=10)]
    assert got == ["a", "b", "c"]
    with client.get_queue_receiver(queue) as receiver:
        assert receiver.peek_messages() == []


def test_prefetched_messages_are_returned_when_the_receiver_closes(
    namespace: NamespaceThread, client: ServiceBusClient
) -> None:
    queue = namespace.queue()
    _send(client, queue, *(str(number) for number in range(20)))
    with client.get_queue_receiver(queue, prefetch_count=20) as receiver:
        [message] = receiver.receive_messages(1, max_wait_time=10)
        receiver.complete_message(message)
    with client.get_queue_receiver(queue) as receiver:
        assert sorted(_receive(receiver, 19), key=int) == [str(number) for number in range(1, 20)]


def test_a_message_lock_can_be_renewed(namespace: NamespaceThread, client: ServiceBusClient) -> None:
    queue = namespace.queue(lock_duration_s=30)
    _send(client, queue, "x")
    with client.get_queue_receiver(queue) as receiver:
        [message] = receiver.receive_messages(1, max_wait_time=10)
        before = message.locked_until_utc
        after = receiver.renew_message_lock(message)
        assert before is not None
        assert before <= after <= datetime.now(UTC) + timedelta(seconds=31)
        receiver.complete_message(message)


def test_completing_a_message_settled_by_another_receiver_fails(
    namespace: NamespaceThread, client: ServiceBusClient
) -> None:
    queue = namespace.queue()
    _send(client, queue, "x")
    with client.get_queue_receiver(queue) as receiver:
        [message] = receiver.receive_messages(1, max_wait_time=10)
        token = message.lock_token
        assert token is not None
        namespace.call(namespace.broker.settle(queue, token.bytes_le, "complete"))  # type: ignore[union-attr]
        with pytest.raises(MessageLockLostError):
            receiver.complete_message(message)


def test_scheduled_messages_wait_and_can_be_cancelled(namespace: NamespaceThread, client: ServiceBusClient) -> None:
    queue = namespace.queue()
    with client.get_queue_sender(queue) as sender, client.get_queue_receiver(queue) as receiver:
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        numbers = sender.schedule_messages([ServiceBusMessage("never"), ServiceBusMessage("no")], tomorrow)
        assert len(numbers) == 2
        assert [message.state.name for message in receiver.peek_messages(5)] == ["SCHEDULED", "SCHEDULED"]
        sender.cancel_scheduled_messages(numbers)
        sender.schedule_messages(ServiceBusMessage("soon"), datetime.now(UTC) + timedelta(milliseconds=400))
        assert receiver.receive_messages(1, max_wait_time=0.2) == []
        assert _receive(receiver, 1) == ["soon"]


def test_peeking_removes_nothing(namespace: NamespaceThread, client: ServiceBusClient) -> None:
    queue = namespace.queue()
    with client.get_queue_receiver(queue) as receiver:
        assert receiver.peek_messages() == []
        _send(client, queue, "a", "b", "c")
        assert [str(message) for message in receiver.peek_messages(2)] == ["a", "b"]
        assert [str(message) for message in receiver.peek_messages(2)] == ["c"]
        assert _receive(receiver, 3) == ["a", "b", "c"]


def test_a_large_message_spans_many_frames_both_ways(namespace: NamespaceThread, client: ServiceBusClient) -> None:
    queue = namespace.queue()
    body = bytes(range(256)) * 1000
    with client.get_queue_sender(queue) as sender:
        sender.send_messages(ServiceBusMessage(body))
    with client.get_queue_receiver(queue) as receiver:
        [message] = receiver.receive_messages(1, max_wait_time=10)
        assert b"".join(message.body) == body
        receiver.complete_message(message)


def test_a_batch_filled_to_the_limit_is_accepted(namespace: NamespaceThread, client: ServiceBusClient) -> None:
    queue = namespace.queue()
    count = 0
    with client.get_queue_sender(queue) as sender:
        batch = sender.create_message_batch()
        while True:
            try:
                batch.add_message(ServiceBusMessage(b"x" * 100, message_id=f"brim-{count}"))
            except ValueError:
                break
            count += 1
        sender.send_messages(batch)
    with client.get_queue_receiver(queue, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE) as receiver:
        received = 0
        while received < count and (messages := receiver.receive_messages(1000, max_wait_time=10)):
            received += len(messages)
    assert received == count


def test_messages_and_batches_over_the_limit_are_refused(namespace: NamespaceThread, client: ServiceBusClient) -> None:
    queue = namespace.queue()
    with client.get_queue_sender(queue) as sender:
        with pytest.raises(MessageSizeExceededError):
            sender.send_messages(ServiceBusMessage(b"x" * 300_000))
        with pytest.raises(MessageSizeExceededError):
            sender.send_messages([ServiceBusMessage(b"x" * 100_000) for _ in range(3)])
        sender.send_messages(ServiceBusMessage("still works"))
    with client.get_queue_receiver(queue) as receiver:
        assert _receive(receiver, 1) == ["still works"]


def test_a_session_is_received_with_its_state_and_lock(namespace: NamespaceThread, client: ServiceBusClient) -> None:
    queue = namespace.queue(requires_session=True)
    with client.get_queue_sender(queue) as sender:
        for session in ("s1", "s2"):
            sender.send_messages([ServiceBusMessage(f"{session}-{n}", session_id=session) for n in range(3)])
    with client.get_queue_receiver(queue, session_id="s2") as receiver:
        assert receiver.session.session_id == "s2"
        assert _receive(receiver, 3) == ["s2-0", "s2-1", "s2-2"]
        assert receiver.session.get_state() is None
        receiver.session.set_state(b"seen 3")
        assert receiver.session.get_state() == b"seen 3"
        assert receiver.session.renew_lock() > datetime.now(UTC)
    with client.get_queue_receiver(queue, session_id="s2") as receiver:
        assert receiver.session.get_state() == b"seen 3"


def test_the_next_available_session_is_an_unlocked_one(namespace: NamespaceThread, client: ServiceBusClient) -> None:
    from azure.servicebus import NEXT_AVAILABLE_SESSION

    queue = namespace.queue(requires_session=True)
    with client.get_queue_sender(queue) as sender:
        for session in ("a", "b"):
            sender.send_messages(ServiceBusMessage(session, session_id=session))
    with (
        client.get_queue_receiver(queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=5) as first,
        client.get_queue_receiver(queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=5) as second,
    ):
        assert {first.session.session_id, second.session.session_id} == {"a", "b"}
        third = client.get_queue_receiver(queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=0.5)
        with pytest.raises(OperationTimeoutError):
            third.__enter__()
        assert _receive(first, 1) == [first.session.session_id]


def test_the_async_client_sends_receives_and_settles(namespace: NamespaceThread) -> None:
    queue = namespace.queue()

    async def conversation() -> list[str]:
        async with AsyncServiceBusClient.from_connection_string(namespace.connection_string()) as client:
            async with client.get_queue_sender(queue) as sender:
                await sender.send_messages([ServiceBusMessage(str(number)) for number in range(30)])
            got: list[str] = []
            async with client.get_queue_receiver(queue) as receiver:
                while len(got) < 30:
                    for message in await receiver.receive_messages(30, max_wait_time=10):
                        got.append(str(message))
                        await receiver.complete_message(message)
            return got

    assert asyncio.run(conversation()) == [str(number) for number in range(30)]


def test_tls_serves_a_client_configured_for_azure(namespace: NamespaceThread) -> None:
    queue = namespace.queue()
    with namespace.tls_client(retry_total=0) as client:
        _send(client, queue, "over tls")
        with client.get_queue_receiver(queue) as receiver:
            assert _receive(receiver, 1) == ["over tls"]

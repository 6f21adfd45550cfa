"""How the SDK reports the namespace's refusals and requested faults."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.exceptions import (
    MessagingEntityNotFoundError,
    OperationTimeoutError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
    ServiceBusConnectionError,
    ServiceBusError,
    ServiceBusQuotaExceededError,
    ServiceBusServerBusyError,
)
from dstream_sandbox.servicebus.faults import Fault, Faults

from tests.integration.sandbox_amqp.namespace_thread import LISTENER_KEY, LISTENER_NAME, NamespaceThread


@pytest.fixture
def faults(namespace: NamespaceThread) -> Iterator[Faults]:
    yield namespace.server.faults
    namespace.on_loop(namespace.server.faults.clear)


def _send(client: ServiceBusClient, queue: str, body: str = "x", timeout: float = 10) -> None:
    with client.get_queue_sender(queue) as sender:
        sender.send_messages(ServiceBusMessage(body, message_id=body), timeout=timeout)


def _stored(namespace: NamespaceThread, queue: str) -> list[str | None]:
    return [delivery.message.message_id for delivery in namespace.on_loop(namespace.broker.peek, queue, 0, 100, None)]


def test_a_wrong_key_is_an_authentication_error(namespace: NamespaceThread) -> None:
    queue = namespace.queue()
    wrong = namespace.connection_string(key="wrong")
    with (
        ServiceBusClient.from_connection_string(wrong, retry_total=0) as client,
        pytest.raises(ServiceBusAuthenticationError),
    ):
        _send(client, queue)


def test_a_missing_entity_is_refused_before_any_attach(client: ServiceBusClient) -> None:
    with pytest.raises(ServiceBusAuthenticationError):
        _send(client, "nowhere")


def test_an_entity_deleted_after_the_token_is_not_found(namespace: NamespaceThread, client: ServiceBusClient) -> None:
    queue = namespace.queue()
    with client.get_queue_receiver(queue) as receiver:
        receiver.peek_messages()
        namespace.call(namespace.broker.entities.delete_queue(queue))
        with pytest.raises(MessagingEntityNotFoundError):
            receiver.receive_messages(max_wait_time=5)


def test_a_listen_only_policy_cannot_send(namespace: NamespaceThread) -> None:
    queue = namespace.queue()
    listener = namespace.connection_string(LISTENER_NAME, LISTENER_KEY)
    with (
        ServiceBusClient.from_connection_string(listener, retry_total=0) as client,
        pytest.raises(ServiceBusAuthorizationError, match="'Send' claim"),
    ):
        _send(client, queue)


@pytest.mark.parametrize(
    ("condition", "error"),
    [
        ("com.microsoft:server-busy", ServiceBusServerBusyError),
        ("amqp:resource-limit-exceeded", ServiceBusQuotaExceededError),
        ("amqp:internal-error", ServiceBusError),
    ],
)
def test_a_rejection_reaches_the_sender_as_often_as_requested(
    namespace: NamespaceThread, client: ServiceBusClient, faults: Faults, condition: str, error: type[Exception]
) -> None:
    queue = namespace.queue()
    faults.add(Fault("reject", entity=queue, condition=condition, times=1))
    with client.get_queue_sender(queue) as sender:
        with pytest.raises(error):
            sender.send_messages(ServiceBusMessage("first", message_id="first"))
        sender.send_messages(ServiceBusMessage("second", message_id="second"))
    assert _stored(namespace, queue) == ["second"]


def test_a_refused_attach_carries_its_condition(
    namespace: NamespaceThread, client: ServiceBusClient, faults: Faults
) -> None:
    queue = namespace.queue()
    faults.add(Fault("refuse_attach", entity=queue, condition="amqp:not-found", times=1))
    with pytest.raises(MessagingEntityNotFoundError):
        _send(client, queue)
    _send(client, queue)


def test_a_denied_token_fails_the_first_attempt_only(
    namespace: NamespaceThread, client: ServiceBusClient, faults: Faults
) -> None:
    queue = namespace.queue()
    faults.add(Fault("deny_token", entity=queue, times=1))
    with pytest.raises(ServiceBusAuthenticationError):
        _send(client, queue)
    _send(client, queue)


def test_a_lost_answer_makes_the_sdk_send_twice(namespace: NamespaceThread, faults: Faults) -> None:
    queue = namespace.queue()
    faults.add(Fault("drop", entity=queue, at="after_store", times=1))
    with namespace.client(retry_backoff_factor=0.05) as client:
        _send(client, queue, "same")
    assert _stored(namespace, queue) == ["same", "same"]


def test_a_drop_before_the_store_loses_nothing_and_repeats_nothing(namespace: NamespaceThread, faults: Faults) -> None:
    queue = namespace.queue()
    faults.add(Fault("drop", entity=queue, at="before_store", times=1))
    with namespace.client(retry_backoff_factor=0.05) as client:
        _send(client, queue, "once")
    assert _stored(namespace, queue) == ["once"]


def test_a_detach_is_reported_as_a_lost_connection(
    namespace: NamespaceThread, client: ServiceBusClient, faults: Faults
) -> None:
    queue = namespace.queue()
    faults.add(Fault("detach", entity=queue, condition="amqp:link:detach-forced", times=1))
    with client.get_queue_sender(queue) as sender:
        with pytest.raises(ServiceBusConnectionError):
            sender.send_messages(ServiceBusMessage("x"))
        sender.send_messages(ServiceBusMessage("y", message_id="y"))
    assert _stored(namespace, queue) == ["y"]


def test_silence_leaves_the_outcome_unknown(
    namespace: NamespaceThread, client: ServiceBusClient, faults: Faults
) -> None:
    queue = namespace.queue()
    faults.add(Fault("silence", entity=queue))
    with pytest.raises(OperationTimeoutError):
        _send(client, queue, "stored", timeout=0.5)
    assert _stored(namespace, queue) == ["stored"]


def test_a_response_is_delayed_as_requested(
    namespace: NamespaceThread, client: ServiceBusClient, faults: Faults
) -> None:
    queue = namespace.queue()
    faults.add(Fault("delay", entity=queue, seconds=0.4))
    with client.get_queue_sender(queue) as sender:
        start = time.monotonic()
        sender.send_messages(ServiceBusMessage("x"))
        assert time.monotonic() - start >= 0.4


def test_exceeding_the_throttle_is_reported_as_server_busy(
    namespace: NamespaceThread, client: ServiceBusClient, faults: Faults
) -> None:
    queue = namespace.queue()
    faults.add(Fault("throttle", entity=queue, rate=5))
    with client.get_queue_sender(queue) as sender:
        sender.send_messages([ServiceBusMessage(str(number)) for number in range(5)])
        with pytest.raises(ServiceBusServerBusyError, match="50009"):
            sender.send_messages([ServiceBusMessage(str(number)) for number in range(5)])
    assert len(_stored(namespace, queue)) == 5


def test_a_stalled_server_resumes_when_the_fault_is_cleared(namespace: NamespaceThread, faults: Faults) -> None:
    queue = namespace.queue()
    with namespace.client(retry_total=0) as client, client.get_queue_sender(queue) as sender:
        sender.send_messages(ServiceBusMessage("a", message_id="a"))
        namespace.on_loop(faults.add, Fault("stall"))
        with pytest.raises(OperationTimeoutError):
            sender.send_messages(ServiceBusMessage("b", message_id="b"), timeout=0.4)
        assert _stored(namespace, queue) == ["a"]
        namespace.on_loop(faults.clear)
        sender.send_messages(ServiceBusMessage("c", message_id="c"), timeout=10)
        assert _stored(namespace, queue)[-1] == "c"


def test_a_slow_link_delays_transfers(namespace: NamespaceThread, client: ServiceBusClient, faults: Faults) -> None:
    queue = namespace.queue()
    with client.get_queue_sender(queue) as sender:
        sender.send_messages(ServiceBusMessage("warm"))
        namespace.on_loop(faults.add, Fault("slow", rate=200_000))
        start = time.monotonic()
        sender.send_messages(ServiceBusMessage(b"x" * 200_000))
        assert time.monotonic() - start >= 0.5


def test_the_control_path_reads_counters_and_sets_faults(
    namespace: NamespaceThread, client: ServiceBusClient, faults: Faults
) -> None:
    queue = namespace.queue()
    control = namespace.server.control
    before = json.loads(control("GET", "/_sandbox/counters", b"")[1])
    _send(client, queue)
    after = json.loads(control("GET", "/_sandbox/counters", b"")[1])
    assert after["messages"] - before["messages"] == 1
    assert after["cpu_s"] > before["cpu_s"]
    request = json.dumps({"kind": "reject", "entity": queue, "times": 1}).encode()
    assert namespace.on_loop(control, "POST", "/_sandbox/faults", request)[0] == 200
    with pytest.raises(ServiceBusServerBusyError):
        _send(client, queue)
    assert control("GET", "/_sandbox/nothing", b"")[0] == 404

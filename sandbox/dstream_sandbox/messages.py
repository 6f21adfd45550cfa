"""Finds an entity of the sandbox's Service Bus, and receives or peeks at its messages as JSON lines."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from dstream_sandbox import clients
from dstream_sandbox.errors import SandboxError
from dstream_sandbox.folder import Folder, Settings

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusClient, ServiceBusReceivedMessage, ServiceBusReceiver
    from azure.servicebus.management import ServiceBusAdministrationClient

_BATCH = 250


@dataclass(frozen=True, slots=True)
class Entity:
    """A queue, a subscription, or the dead-letter queue of either."""

    name: str
    subscription: str | None
    requires_session: bool
    dead_letter: bool


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Raise errors from Service Bus as SandboxError."""
    from azure.core.exceptions import AzureError
    from azure.servicebus.exceptions import ServiceBusError

    try:
        yield
    except (AzureError, ServiceBusError) as error:
        raise SandboxError(str(error.message).splitlines()[0]) from error


def find(folder: Folder, settings: Settings, text: str, *, dead_letter: bool) -> Entity:
    """The entity named by QUEUE or TOPIC/SUBSCRIPTION. Raises SandboxError that lists the existing ones."""
    from azure.core.exceptions import ResourceNotFoundError

    name, _, subscription = text.partition("/")
    with refusals(), clients.administration(folder, settings) as administration:
        try:
            if subscription:
                session = administration.get_subscription(name, subscription).requires_session
            else:
                session = administration.get_queue(name).requires_session
        except (ResourceNotFoundError, AttributeError):  # the SDK raises AttributeError for a topic
            _missing(administration, text)
    return Entity(name, subscription or None, bool(session) and not dead_letter, dead_letter)


def receive(
    settings: Settings, entity: Entity, *, session: str | None, count: int | None, wait_s: float
) -> Iterator[str]:
    """Receive at most `count` messages, until none arrives for `wait_s` seconds. A message is completed when the next
    one is requested, so unread messages stay in the queue."""
    with refusals():
        if entity.requires_session and session is None:
            yield from _of_all_sessions(settings, entity, count, wait_s)
        else:
            yield from _of_one_receiver(settings, entity, session, count, wait_s)


def peek(settings: Settings, entity: Entity, *, session: str | None, count: int) -> Iterator[str]:
    """Show messages without removing them, oldest first."""
    if entity.requires_session and session is None:
        raise SandboxError(f"{entity.name} requires sessions; specify one with --session ID")
    with refusals(), clients.servicebus(settings) as client, _receiver(client, entity, session_id=session) as receiver:
        from_sequence = 0
        while count > 0:
            batch = receiver.peek_messages(max_message_count=min(count, _BATCH), sequence_number=from_sequence)
            if not batch:
                return
            yield from map(as_line, batch)
            count -= len(batch)
            from_sequence = (batch[-1].sequence_number or 0) + 1


def as_line(message: ServiceBusReceivedMessage) -> str:
    """A message as one line of JSON: ids, properties, and the body verbatim, which keeps every digit of its numbers."""
    properties = message.application_properties or {}
    fields = {
        "sequence_number": message.sequence_number,
        "message_id": message.message_id,
        "session_id": message.session_id,
        "subject": message.subject,
        "content_type": message.content_type,
        "correlation_id": message.correlation_id,
        "enqueued_at": message.enqueued_time_utc.isoformat() if message.enqueued_time_utc else None,
        "delivery_count": message.delivery_count,
        "dead_letter_reason": message.dead_letter_reason,
        "properties": {str(_plain(key)): _plain(value) for key, value in properties.items()},
    }
    return f'{json.dumps(fields, ensure_ascii=False)[:-1]}, "body": {_body(message)}}}'


def _of_one_receiver(
    settings: Settings, entity: Entity, session: str | None, count: int | None, wait_s: float
) -> Iterator[str]:
    with clients.servicebus(settings) as client, _receiver(client, entity, session_id=session) as receiver:
        yield from _taken(receiver, count, wait_s)


def _of_all_sessions(settings: Settings, entity: Entity, count: int | None, wait_s: float) -> Iterator[str]:
    """Receive from each session that has messages. Without retries, the client returns when none is left."""
    from azure.servicebus import NEXT_AVAILABLE_SESSION
    from azure.servicebus.exceptions import OperationTimeoutError

    left = count
    with clients.servicebus(settings, retry_total=0) as client:
        while left != 0:
            receiver = _receiver(client, entity, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=wait_s)
            try:
                receiver.__enter__()
            except OperationTimeoutError:
                return
            with contextlib.closing(receiver):
                left = yield from _taken(receiver, left, wait_s)


def _taken(receiver: ServiceBusReceiver, left: int | None, wait_s: float) -> Generator[str, None, int | None]:
    """Receive until no message arrives or `left` messages are received. Return how many are left to receive."""
    while left != 0:
        batch = receiver.receive_messages(min(left or _BATCH, _BATCH), max_wait_time=wait_s)
        if not batch:
            break
        for message in batch:
            yield as_line(message)
            receiver.complete_message(message)
        left = None if left is None else left - len(batch)
    return left


def _receiver(client: ServiceBusClient, entity: Entity, **options: Any) -> ServiceBusReceiver:
    from azure.servicebus import ServiceBusSubQueue

    wanted = {name: value for name, value in options.items() if value is not None}
    if entity.dead_letter:
        wanted["sub_queue"] = ServiceBusSubQueue.DEAD_LETTER
    if entity.subscription:
        return client.get_subscription_receiver(entity.name, entity.subscription, **wanted)
    return client.get_queue_receiver(entity.name, **wanted)


def _missing(administration: ServiceBusAdministrationClient, text: str) -> NoReturn:
    name, _, subscription = text.partition("/")
    queues = [queue.name for queue in administration.list_queues()]
    topics = [topic.name for topic in administration.list_topics()]
    if name not in topics:
        there = ", ".join([*queues, *(f"{topic} (topic)" for topic in topics)]) or "none"
        raise SandboxError(f"{'topic' if subscription else 'queue'} {name} not found; existing entities: {there}")
    subscriptions = [each.name for each in administration.list_subscriptions(name)]
    there = ", ".join(f"{name}/{each}" for each in subscriptions) or "none"
    raise SandboxError(f"{text} is not a queue or TOPIC/SUBSCRIPTION; subscriptions of topic {name}: {there}")


def _body(message: ServiceBusReceivedMessage) -> str:
    """Return JSON verbatim on one line, other text as a string, and other bytes as a string of hex digits."""
    from azure.servicebus.amqp import AmqpMessageBodyType

    if message.body_type == AmqpMessageBodyType.VALUE:
        return json.dumps(_plain_tree(message.body), ensure_ascii=False)
    if message.body_type == AmqpMessageBodyType.SEQUENCE:
        return json.dumps(_plain_tree(list(message.body)), ensure_ascii=False)
    data = b"".join(message.body)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return json.dumps(data.hex())
    try:
        json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return json.dumps(text, ensure_ascii=False)
    return text.replace("\r", " ").replace("\n", " ").strip()


def _no_constant(name: str) -> NoReturn:
    """Reject NaN and Infinity, which Python accepts but RFC 8259 does not."""
    raise ValueError(name)


def _plain_tree(value: object) -> object:
    if isinstance(value, dict):
        return {str(_plain(key)): _plain_tree(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain_tree(each) for each in value]
    return _plain(value)


def _plain(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.hex()
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)

"""The seam of the Service Bus side: the broker as the AMQP links and the admin endpoint see it.

`amqp/` (frames, sessions, links) and `nodes/` ($cbs, $management, entity links) call a `Broker`; `broker/` implements
it; `admin/` edits its entities. The broker knows no frames and no sockets, and takes its clock as an argument. One
asyncio loop runs everything; only the store's commits run on a thread. All times are seconds since the epoch (float).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from dstream_sandbox.servicebus.broker.descriptions import RuleDescription


class AmqpError(Exception):
    """Refuse or end something with an AMQP error condition, as the service words it."""

    def __init__(self, condition: str, description: str = "", info: Mapping[str, object] | None = None) -> None:
        super().__init__(f"{condition}: {description}")
        self.condition = condition
        self.description = description
        self.info = dict(info or {})


@dataclass(slots=True)
class Message:
    """A message as it came: `encoded` holds every section exactly as sent; the rest is parsed once, for the broker.

    `application_properties` is decoded on demand (filters only), so it is a call.
    """

    encoded: bytes
    message_id: str | None
    session_id: str | None
    partition_key: str | None
    ttl_s: float | None
    scheduled_at: float | None
    application_properties: Callable[[], Mapping[str, object]] = field(repr=False)
    properties: Callable[[], Mapping[str, object]] = field(repr=False)


@dataclass(slots=True)
class Delivery:
    """A message on its way to a receiver."""

    message: Message
    sequence_number: int
    enqueued_at: float
    delivery_count: int
    lock_token: bytes | None  # 16 bytes; None in receive-and-delete mode
    locked_until: float | None
    state: Literal["active", "deferred", "scheduled"] = "active"
    dead_letter_source: str | None = None
    set_properties: Mapping[str, object] = field(default_factory=dict)
    """Application properties that a settlement changed (abandon, dead-letter, a rule's action)."""


Outcome = Literal["complete", "abandon", "defer", "dead_letter", "release"]
ReceiveMode = Literal["peek_lock", "receive_and_delete"]
ANY_SESSION = object()
"""Ask for the next session that has messages and no holder."""


class Receiver(Protocol):
    """One receiving link's claim on an entity, its dead-letter queue or one session of it."""

    session_id: str | None

    @property
    def session_locked_until(self) -> float | None: ...

    def take(self, count: int) -> list[Delivery]:
        """Up to `count` deliveries that are available now, locked (or, receive-and-delete, already durable gone)."""

    @property
    def pending(self) -> int:
        """Deliveries that `take` has asked for and that will be announced: a drain waits for them."""

    def on_available(self, callback: Callable[[], None]) -> None:
        """`callback` is called, soon, whenever `take` may have something."""

    def on_lost(self, callback: Callable[[AmqpError], None]) -> None:
        """The entity was deleted or disabled, or the session's lock ran out: the link must be detached with this."""

    def close(self) -> None:
        """The link is gone. Locks of messages stay until they run out; a session is freed."""


class Broker(Protocol):
    """All entities of one namespace. Paths are case-insensitive: `queue`, `topic`, `topic/Subscriptions/sub`, and
    `/$DeadLetterQueue` behind a queue or a subscription."""

    max_message_size: int  # of one message, bytes
    max_batch_size: int  # of one batch transfer, bytes

    def require(self, path: str, *, for_send: bool) -> None:
        """Raise AmqpError: amqp:not-found, com.microsoft:entity-disabled, or amqp:not-allowed (to send there)."""

    def requires_session(self, path: str) -> bool: ...

    def send(self, path: str, messages: Sequence[Message]) -> Awaitable[None]:
        """Store all or none; done when durable. Raises AmqpError (size, session missing, quota, not found, ..)."""

    def receiver(self, path: str, mode: ReceiveMode, session: str | object | None) -> Awaitable[Receiver]:
        """`session`: an id, ANY_SESSION (waits until one is free, the caller bounds it), or None."""

    def settle(
        self,
        path: str,
        lock_token: bytes,
        outcome: Outcome,
        *,
        reason: str = "",
        description: str = "",
        properties: Mapping[str, object] | None = None,
    ) -> Awaitable[None]:
        """Done when durable. Raises AmqpError com.microsoft:message-lock-lost (session-lock-lost)."""

    def renew_locks(self, path: str, lock_tokens: Sequence[bytes]) -> list[float]:
        """New expiry times."""

    def renew_session_lock(self, path: str, session_id: str) -> float: ...
    def get_session_state(self, path: str, session_id: str) -> bytes | None: ...
    def set_session_state(self, path: str, session_id: str, state: bytes | None) -> Awaitable[None]: ...
    def list_sessions(self, path: str, updated_since: float | None, skip: int, top: int) -> list[str]: ...

    def peek(self, path: str, from_sequence: int, count: int, session_id: str | None) -> list[Delivery]: ...
    def schedule(self, path: str, messages: Sequence[Message]) -> Awaitable[list[int]]:
        """Sequence numbers; each message has `scheduled_at`."""

    def cancel_scheduled(self, path: str, sequence_numbers: Sequence[int]) -> Awaitable[None]: ...
    def receive_deferred(
        self, path: str, sequence_numbers: Sequence[int], mode: ReceiveMode, session_id: str | None
    ) -> Awaitable[list[Delivery]]: ...

    def add_rule(self, path: str, rule: RuleDescription) -> Awaitable[None]:
        """`path`: topic/Subscriptions/sub. Raises AmqpError: amqp:not-found, com.microsoft:entity-already-exists,
        com.microsoft:argument-error."""

    def remove_rule(self, path: str, name: str) -> Awaitable[None]: ...
    def list_rules(self, path: str) -> Sequence[RuleDescription]: ...

"""The seam of the Service Bus side: the broker as the AMQP links and the admin endpoint use it.

`amqp/` (frames, sessions, links) and `nodes/` ($cbs, $management, entity links) call a `Broker`; `broker/` implements
it; `admin/` manages its entities. The broker is independent of frames and sockets, and takes its clock as an argument.
One asyncio loop runs everything; only the store's commits run on a thread. All times are seconds since the epoch
(float).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from dstream_sandbox.servicebus.broker.descriptions import RuleDescription


class AmqpError(Exception):
    """Refuses or ends something with an AMQP error condition, in the service's wording."""

    def __init__(self, condition: str, description: str = "", info: Mapping[str, object] | None = None) -> None:
        super().__init__(f"{condition}: {description}")
        self.condition = condition
        self.description = description
        self.info = dict(info or {})


@dataclass(slots=True)
class Message:
    """A received message: `encoded` holds every section exactly as sent; the rest is parsed once, for the broker.

    `application_properties` and `properties` are callables, since only filters need them decoded.
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
"""Requests the next session that has messages and no holder."""


class Receiver(Protocol):
    """One receiving link's claim on an entity, its dead-letter queue, or one of its sessions."""

    session_id: str | None

    @property
    def session_locked_until(self) -> float | None: ...

    def take(self, count: int) -> list[Delivery]:
        """Return up to `count` available deliveries, locked or, in receive-and-delete mode, durably removed."""

    @property
    def pending(self) -> int:
        """Number of deliveries that `take` has requested and that will be announced; a drain waits for them."""

    def on_available(self, callback: Callable[[], None]) -> None:
        """Schedule `callback` whenever `take` may return deliveries."""

    def on_lost(self, callback: Callable[[AmqpError], None]) -> None:
        """Call `callback` when the entity is deleted or disabled, or the session's lock expires: the link must be
        detached with this error."""

    def close(self) -> None:
        """Close the claim, with its link. Locks on messages stay until they expire; a session is released."""


class Broker(Protocol):
    """All entities of one namespace. Paths are case-insensitive: `queue`, `topic`, `topic/Subscriptions/sub`; with the
    suffix `/$DeadLetterQueue`, the dead-letter queue of a queue or subscription."""

    max_message_size: int  # of one message, bytes
    max_batch_size: int  # of one batch transfer, bytes

    def require(self, path: str, *, for_send: bool) -> None:
        """Raise AmqpError: amqp:not-found, com.microsoft:entity-disabled, or amqp:not-allowed (to send to it)."""

    def requires_session(self, path: str) -> bool: ...

    def send(self, path: str, messages: Sequence[Message]) -> Awaitable[None]:
        """Store all messages or none; done when durable. Raises AmqpError (size, missing session, quota, ..)."""

    def receiver(self, path: str, mode: ReceiveMode, session: str | object | None) -> Awaitable[Receiver]:
        """Return a claim. `session`: an id, ANY_SESSION (waits for a free one; the caller limits the wait), or None."""

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
        """Settle; done when durable. Raises AmqpError com.microsoft:message-lock-lost or session-lock-lost."""

    def renew_locks(self, path: str, lock_tokens: Sequence[bytes]) -> list[float]:
        """Renew the locks, and return their new expiry times."""

    def renew_session_lock(self, path: str, session_id: str) -> float: ...
    def get_session_state(self, path: str, session_id: str) -> bytes | None: ...
    def set_session_state(self, path: str, session_id: str, state: bytes | None) -> Awaitable[None]: ...
    def list_sessions(self, path: str, updated_since: float | None, skip: int, top: int) -> list[str]: ...

    def peek(self, path: str, from_sequence: int, count: int, session_id: str | None) -> list[Delivery]: ...
    def schedule(self, path: str, messages: Sequence[Message]) -> Awaitable[list[int]]:
        """Store messages that have `scheduled_at`, and return their sequence numbers."""

    def cancel_scheduled(self, path: str, sequence_numbers: Sequence[int]) -> Awaitable[None]: ...
    def receive_deferred(
        self, path: str, sequence_numbers: Sequence[int], mode: ReceiveMode, session_id: str | None
    ) -> Awaitable[list[Delivery]]: ...

    def add_rule(self, path: str, rule: RuleDescription) -> Awaitable[None]:
        """Add a rule to the subscription `path`. Raises AmqpError: amqp:not-found,
        com.microsoft:entity-already-exists, com.microsoft:argument-error."""

    def remove_rule(self, path: str, name: str) -> Awaitable[None]: ...
    def list_rules(self, path: str) -> Sequence[RuleDescription]: ...

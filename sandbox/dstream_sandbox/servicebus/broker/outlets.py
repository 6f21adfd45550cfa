"""The interfaces that a MessageQueue needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dstream_sandbox.servicebus.broker.entry import Entry, Overlay
from dstream_sandbox.servicebus.broker.transaction import Transaction

if TYPE_CHECKING:
    from dstream_sandbox.servicebus.broker.queue import MessageQueue

__all__ = ["Outlets", "QueuePolicy"]


class QueuePolicy(Protocol):
    """The settings common to the descriptions of queues and subscriptions."""

    @property
    def lock_duration_s(self) -> float: ...
    @property
    def default_ttl_s(self) -> float: ...
    @property
    def max_delivery_count(self) -> int: ...
    @property
    def dead_letter_on_expiration(self) -> bool: ...
    @property
    def requires_session(self) -> bool: ...


class Outlets(Protocol):
    """Receives messages that leave a queue for another entity, and sets its alarm."""

    def forward_dead(self, tx: Transaction, queue: MessageQueue, entry: Entry, overlay: Overlay, now: float) -> bool:
        """Pass a dead-lettered message to the entity that the queue forwards them to. Return False if there is none."""

    def enqueue_due(self, tx: Transaction, queue: MessageQueue, entries: list[Entry], now: float) -> None:
        """Enqueue scheduled messages that are due; `tx` removes the scheduled ones."""

    def alarm(self, at: float) -> None:
        """Call `advance` at this time."""

"""The application side of the AMQP server: authentication, and a handler for each link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dstream_sandbox.servicebus.amqp.values import Described

if TYPE_CHECKING:
    from dstream_sandbox.servicebus.amqp.connection import Connection
    from dstream_sandbox.servicebus.amqp.link import IncomingLink, OutgoingLink

__all__ = ["Container", "IncomingHandler", "OutgoingHandler", "Received", "Settlement"]


@dataclass(slots=True)
class Received:
    """One complete delivery from a sending peer."""

    delivery_id: int
    message_format: int
    settled: bool
    payload: bytes


@dataclass(frozen=True, slots=True)
class Settlement:
    """A receiving peer's settlement of deliveries on one link: their ids and tags, in order."""

    deliveries: Sequence[tuple[int, bytes]]
    state: Described | None
    settled: bool


class IncomingHandler(Protocol):
    """Handles a link on which the peer sends."""

    def on_delivery(self, delivery: Received) -> None: ...
    def on_closed(self) -> None:
        """The link, its session or its connection was closed."""


class OutgoingHandler(Protocol):
    """Handles a link on which the peer receives."""

    def on_credit(self) -> bool:
        """The link can send again: credit was granted, a window opened, or the socket drained. Returns whether more
        messages are on their way for the remaining credit; a drain waits for them."""

    def on_settlement(self, settlement: Settlement) -> None: ...
    def on_closed(self) -> None: ...


class Container(Protocol):
    def connected(self, connection: Connection) -> None: ...
    def disconnected(self, connection: Connection) -> None: ...
    def authenticate(self, connection: Connection, mechanism: str, response: bytes) -> bool: ...
    def is_logged_in(self, connection: Connection) -> bool:
        """Whether it has sent a valid password or token."""

    def attach_incoming(self, link: IncomingLink) -> None:
        """Call `link.accept` or `link.refuse`, now or later."""

    def attach_outgoing(self, link: OutgoingLink) -> None: ...

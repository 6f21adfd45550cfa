"""Both kinds of links of a session: assembly of deliveries, credit and drain (OASIS AMQP 1.0, part 2, section 2.6)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dstream_sandbox.servicebus.amqp import performatives
from dstream_sandbox.servicebus.amqp.container import IncomingHandler, OutgoingHandler, Received, Settlement
from dstream_sandbox.servicebus.amqp.performatives import Attach, Flow, Terminus, Transfer
from dstream_sandbox.servicebus.amqp.values import Described
from dstream_sandbox.servicebus.core import AmqpError

if TYPE_CHECKING:
    from dstream_sandbox.servicebus.amqp.session import Session

__all__ = ["IncomingLink", "Link", "OutgoingLink"]

_NO_LIMIT = (1 << 63) - 1


class Link:
    """The common part of both directions: attach and detach."""

    def __init__(self, session: Session, attach: Attach) -> None:
        self.session = session
        self.connection = session.connection
        self.attach = attach
        self.handle = attach.handle
        self.attached = False
        self.closed = False

    def refuse(self, error: AmqpError) -> None:
        """Send an attach without a terminus, then a detach with the reason (section 2.6.3)."""
        if self.closed:
            return
        body = self.attach.reply(source=None, target=None, max_message_size=_NO_LIMIT, properties={})
        self.session.send(body)
        self.attached = True
        self.detach(error)

    def detach(self, error: AmqpError | None = None) -> None:
        """Detach from this side. The peer's detach is then only a response."""
        if self.closed:
            return
        self.session.send(performatives.detach(self.handle, error))
        self.session.forget(self)
        self.end()

    def end(self) -> None:
        if not self.closed:
            self.closed = True
            self._notify_closed()

    def _notify_closed(self) -> None:
        raise NotImplementedError

    def _answer_attach(
        self, source: Terminus | None, max_message_size: int, properties: Mapping[object, object] | None
    ) -> None:
        self.attached = True
        body = self.attach.reply(
            source=source or self.attach.source or Terminus(performatives.Code.SOURCE, ()),
            target=self.attach.target or Terminus(performatives.Code.TARGET, ()),
            max_message_size=max_message_size,
            properties=properties or {},
        )
        self.session.send(body)


class IncomingLink(Link):
    """The peer sends. Deliveries wait until `accept` is called (azure-servicebus sends on its own first credit)."""

    def __init__(self, session: Session, attach: Attach) -> None:
        super().__init__(session, attach)
        self._handler: IncomingHandler | None = None
        self._waiting: list[Received] = []
        self._parts: list[bytes] = []
        self._size = 0
        self._current: Transfer | None = None
        self._delivery_count = attach.initial_delivery_count
        self._credit = 0
        self._credit_target = 0
        self._max_message_size = _NO_LIMIT

    def accept(
        self,
        handler: IncomingHandler,
        *,
        credit: int,
        max_message_size: int = _NO_LIMIT,
        tolerance: int = 0,
        properties: Mapping[object, object] | None = None,
    ) -> None:
        """Complete the attach. Announces `max_message_size`, and refuses messages that exceed it by more than
        `tolerance`."""
        if self.closed:
            handler.on_closed()
            return
        self._handler = handler
        self._max_message_size = max_message_size + tolerance
        self._answer_attach(None, max_message_size, properties)
        self.grant(credit)
        waiting, self._waiting = self._waiting, []
        for delivery in waiting:
            if not self.closed:
                handler.on_delivery(delivery)

    def grant(self, credit: int) -> None:
        """Keep the peer's credit near `credit` from now on."""
        self._credit = self._credit_target = credit
        self._send_flow()

    def settle(self, delivery_id: int, state: Described) -> None:
        if not self.closed:
            self.session.send(performatives.disposition(delivery_id, delivery_id, state, from_receiver=True))

    def on_transfer(self, transfer: Transfer, payload: bytes) -> None:
        if self._current is None:
            self._current = transfer
        if transfer.aborted:
            self._forget_parts()
            return
        self._parts.append(payload)
        self._size += len(payload)
        if self._size > self._max_message_size:
            self._parts.clear()  # the rest is read only to find the end of the delivery
        if not transfer.more:
            self._complete()

    def on_flow(self, flow: Flow) -> None:
        if flow.echo and self.attached:
            self._send_flow()

    def _complete(self) -> None:
        first = self._current
        assert first is not None
        payload = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        delivery = Received(first.delivery_id or 0, first.message_format, first.settled, payload)
        size = self._size
        self._forget_parts()
        self._delivery_count = (self._delivery_count + 1) & 0xFFFFFFFF
        self._credit -= 1
        if self._handler is None:
            self._waiting.append(delivery)
            return
        if size > self._max_message_size:
            self._refuse_size(delivery, size)
        else:
            self._handler.on_delivery(delivery)
        if not self.closed and self._credit <= self._credit_target // 2 and self._credit_target:
            self._credit = self._credit_target
            self._send_flow()

    def _refuse_size(self, delivery: Received, size: int) -> None:
        """Reject the delivery, not the link: azure-servicebus treats a detach as a lost connection and resends."""
        text = f"The message of {size} bytes is larger than the link's limit of {self._max_message_size} bytes."
        if not delivery.settled:
            error = AmqpError("amqp:link:message-size-exceeded", text)
            self.settle(delivery.delivery_id, performatives.rejected(error))

    def _forget_parts(self) -> None:
        self._parts, self._size, self._current = [], 0, None

    def _send_flow(self) -> None:
        self.session.send_flow((self.handle, self._delivery_count, max(self._credit, 0), False))

    def _notify_closed(self) -> None:
        if self._handler is not None:
            self._handler.on_closed()


class OutgoingLink(Link):
    """The peer receives, up to its credit."""

    def __init__(self, session: Session, attach: Attach) -> None:
        super().__init__(session, attach)
        self.credit = 0
        self._drain = False
        self._handler: OutgoingHandler | None = None
        self._delivery_count = 0
        self.pending: asyncio.Future[None] | None = None
        """The task that will accept or refuse the link; cancelled if the peer gives up first."""

    @property
    def sendable(self) -> int:
        """The number of deliveries that can be sent now."""
        return self.credit if self.session.writable and not self.closed else 0

    def accept(
        self,
        handler: OutgoingHandler,
        *,
        source: Terminus | None = None,
        max_message_size: int = _NO_LIMIT,
        properties: Mapping[object, object] | None = None,
    ) -> None:
        if self.closed:
            handler.on_closed()
            return
        self._handler = handler
        self._answer_attach(source, max_message_size, properties)
        if self.credit or self._drain:
            self.offer()

    def send(self, tag: bytes, payload: bytes, *, settled: bool) -> None:
        self.credit -= 1
        self._delivery_count = (self._delivery_count + 1) & 0xFFFFFFFF
        self.session.send_delivery(self, tag, payload, settled=settled)

    def settled(self, first: int, last: int, state: Described) -> None:
        """Respond to a pending settlement, once the outcome is durable."""
        if not self.closed:
            self.session.send(performatives.disposition(first, last, state, from_receiver=False))

    def on_flow(self, flow: Flow) -> None:
        if flow.link_credit is not None:
            seen = flow.delivery_count if flow.delivery_count is not None else 0
            self.credit = max(0, _serial_difference(seen, self._delivery_count) + flow.link_credit)
        self._drain = flow.drain
        if not self.attached:
            return
        self.offer()
        if flow.echo and not flow.drain and not self.closed:
            self._send_flow()

    def on_settlement(self, settlement: Settlement) -> None:
        if self._handler is not None:
            self._handler.on_settlement(settlement)

    def on_writable(self) -> None:
        if self.credit and self.attached and not self.closed:
            self.offer()

    def offer(self) -> None:
        """Let the handler use the credit. The handler itself calls this when it has something new to send."""
        on_its_way = self._handler is not None and self.credit > 0 and self._handler.on_credit()
        if self._drain and not on_its_way and self.session.writable and not self.closed:
            # Nothing more to send: consume the credit and report it (section 2.6.7). Clients wait for drain=true.
            self._delivery_count = (self._delivery_count + self.credit) & 0xFFFFFFFF
            self.credit = 0
            self._send_flow(drain=True)
            self._drain = False

    def _send_flow(self, *, drain: bool = False) -> None:
        self.session.send_flow((self.handle, self._delivery_count, self.credit, drain))

    def _notify_closed(self) -> None:
        if self._handler is not None:
            self._handler.on_closed()
        elif self.pending is not None:
            self.pending.cancel()


def _serial_difference(left: int, right: int) -> int:
    """left - right for 32-bit serial numbers that wrap (RFC 1982, as part 2, section 2.8.10 requires)."""
    difference = (left - right) & 0xFFFFFFFF
    return difference - (1 << 32) if difference >= 1 << 31 else difference

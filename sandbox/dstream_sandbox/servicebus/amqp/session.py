"""A session of a connection: windows, delivery ids, and the links by handle (OASIS AMQP 1.0, part 2, section 2.5)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dstream_sandbox.servicebus.amqp import performatives
from dstream_sandbox.servicebus.amqp.container import Settlement
from dstream_sandbox.servicebus.amqp.link import IncomingLink, Link, OutgoingLink
from dstream_sandbox.servicebus.amqp.performatives import Attach, Code, Disposition, Flow, Transfer
from dstream_sandbox.servicebus.core import AmqpError

if TYPE_CHECKING:
    from dstream_sandbox.servicebus.amqp.connection import Connection

__all__ = ["Session"]

# Far more than clients have in flight: some count a delivery of many frames as one, others count each frame.
_INCOMING_WINDOW = 5000
_OUTGOING_WINDOW = 0x7FFFFFFF
_TRANSFER_OVERHEAD = 64  # octets of a frame's header and its transfer performative, at most


class Session:
    def __init__(self, connection: Connection, channel: int, fields: list[object]) -> None:
        self.connection = connection
        self.channel = channel
        self.links: dict[int, Link] = {}
        self._next_incoming_id = performatives.integer_or_none(fields, 1) or 0
        self._incoming_left = _INCOMING_WINDOW
        self._next_outgoing_id = 0
        self._peer_window = performatives.integer_or_none(fields, 2) or 0
        self._delivery_id = 0
        self._unsettled: dict[int, tuple[OutgoingLink, bytes]] = {}
        self._backlog: deque[tuple[bytes, bytes]] = deque()
        self.ended = False
        self.send(performatives.begin(channel, 0, _INCOMING_WINDOW, _OUTGOING_WINDOW))

    @property
    def writable(self) -> bool:
        return self._peer_window > 0 and not self._backlog and self.connection.writable

    def send(self, body: bytes) -> None:
        if not self.ended:
            self.connection.send(self.channel, body)

    def send_flow(self, link: tuple[int, int, int, bool] | None = None) -> None:
        self._incoming_left = _INCOMING_WINDOW
        self.send(
            performatives.flow(self._next_incoming_id, _INCOMING_WINDOW, self._next_outgoing_id, _OUTGOING_WINDOW, link)
        )

    def send_delivery(self, link: OutgoingLink, tag: bytes, payload: bytes, *, settled: bool) -> None:
        """Split the delivery into frames of the peer's size; those that exceed its window wait here."""
        delivery_id = self._delivery_id
        self._delivery_id = (delivery_id + 1) & 0xFFFFFFFF
        if not settled:
            self._unsettled[delivery_id] = (link, tag)
        room = self.connection.peer_max_frame_size - _TRANSFER_OVERHEAD - len(tag)
        if len(payload) <= room:
            self._send_transfer(
                performatives.transfer(link.handle, delivery_id, tag, settled=settled, more=False), payload
            )
            return
        for start in range(0, len(payload), room):
            more = start + room < len(payload)
            body = performatives.transfer(link.handle, delivery_id, tag, settled=settled, more=more)
            self._send_transfer(body, payload[start : start + room])

    def forget(self, link: Link) -> None:
        """Remove a detached link: its handle becomes free, and its unsettled deliveries are discarded."""
        if self.links.get(link.handle) is link:
            del self.links[link.handle]
        if isinstance(link, OutgoingLink):
            self._unsettled = {key: entry for key, entry in self._unsettled.items() if entry[0] is not link}

    def end(self, error: AmqpError | None = None) -> None:
        """End the session, or respond to the peer's end."""
        if self.ended:
            return
        self.send(performatives.end(error))
        self.close()

    def close(self) -> None:
        self.ended = True
        links, self.links = list(self.links.values()), {}
        self._unsettled.clear()
        self._backlog.clear()
        for link in links:
            link.end()

    def on_frame(self, code: int, fields: list[object], payload: bytes) -> None:
        if code == Code.TRANSFER:
            self._on_transfer(Transfer.parse(fields), payload)
        elif code == Code.DISPOSITION:
            self._on_disposition(Disposition.parse(fields))
        elif code == Code.FLOW:
            self._on_flow(Flow.parse(fields))
        elif code == Code.ATTACH:
            self._on_attach(Attach.parse(fields))
        elif code == Code.DETACH:
            self._on_detach(performatives.integer_or_none(fields, 0) or 0)

    def on_writable(self) -> None:
        """The socket has drained or the peer's window grew."""
        while self._backlog and self._peer_window > 0 and self.connection.writable:
            self._write_transfer(*self._backlog.popleft())
        for link in list(self.links.values()):
            if not self.writable:
                return
            if isinstance(link, OutgoingLink):
                link.on_writable()

    def _send_transfer(self, body: bytes, payload: bytes) -> None:
        if self._peer_window > 0 and not self._backlog:
            self._write_transfer(body, payload)
        else:
            self._backlog.append((body, payload))

    def _write_transfer(self, body: bytes, payload: bytes) -> None:
        self._next_outgoing_id = (self._next_outgoing_id + 1) & 0xFFFFFFFF
        self._peer_window -= 1
        self.connection.send(self.channel, body, payload)

    def _on_transfer(self, transfer: Transfer, payload: bytes) -> None:
        self._next_incoming_id = (self._next_incoming_id + 1) & 0xFFFFFFFF
        self._incoming_left -= 1
        link = self.links.get(transfer.handle)
        if isinstance(link, IncomingLink):
            link.on_transfer(transfer, payload)
        if self._incoming_left <= _INCOMING_WINDOW // 2:
            self.send_flow()

    def _on_disposition(self, disposition: Disposition) -> None:
        if not disposition.from_receiver:
            return  # from a sender, about its own deliveries, which the broker settles immediately
        if disposition.state is None and not disposition.settled:
            return
        by_link: dict[OutgoingLink, list[tuple[int, bytes]]] = {}
        span = range(disposition.first, disposition.last + 1)
        ids: Sequence[int] = span
        if len(span) > len(self._unsettled):
            ids = sorted(delivery_id for delivery_id in self._unsettled if delivery_id in span)
        for delivery_id in ids:
            entry = self._unsettled.pop(delivery_id, None)
            if entry is not None:
                by_link.setdefault(entry[0], []).append((delivery_id, entry[1]))
        for link, deliveries in by_link.items():
            link.on_settlement(Settlement(deliveries, disposition.state, disposition.settled))

    def _on_flow(self, flow: Flow) -> None:
        received = flow.next_incoming_id if flow.next_incoming_id is not None else 0
        in_flight = (self._next_outgoing_id - received) & 0xFFFFFFFF
        self._peer_window = max(0, flow.incoming_window - (in_flight if in_flight < 1 << 31 else 0))
        if flow.handle is None:
            if flow.echo:
                self.send_flow()
        else:
            link = self.links.get(flow.handle)
            if isinstance(link, (IncomingLink, OutgoingLink)):
                link.on_flow(flow)
        self.on_writable()

    def _on_attach(self, attach: Attach) -> None:
        previous = self.links.get(attach.handle)
        if previous is not None:
            self.end(AmqpError("amqp:session:handle-in-use", f"Handle {attach.handle} is already attached."))
            return
        link: IncomingLink | OutgoingLink
        if attach.peer_receives:
            link = self.links[attach.handle] = OutgoingLink(self, attach)
            self.connection.container.attach_outgoing(link)
        else:
            link = self.links[attach.handle] = IncomingLink(self, attach)
            self.connection.container.attach_incoming(link)

    def _on_detach(self, handle: int) -> None:
        link = self.links.get(handle)
        if link is None:
            return  # the response to our own detach
        self.forget(link)
        self.send(performatives.detach(handle, None))
        link.end()

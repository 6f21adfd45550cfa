"""The namespace for AMQP clients: authenticates connections, and attaches links to the nodes at their addresses."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from functools import partial

from dstream_sandbox.servicebus.access import KeyRing, path_of
from dstream_sandbox.servicebus.amqp.connection import Connection
from dstream_sandbox.servicebus.amqp.link import IncomingLink, OutgoingLink
from dstream_sandbox.servicebus.amqp.values import Symbol, ULong
from dstream_sandbox.servicebus.core import AmqpError, Broker
from dstream_sandbox.servicebus.counters import Counters
from dstream_sandbox.servicebus.faults import Faults, Side
from dstream_sandbox.servicebus.nodes.addresses import CBS, MANAGEMENT_SUFFIX, entity_of
from dstream_sandbox.servicebus.nodes.cbs import put_token
from dstream_sandbox.servicebus.nodes.client import Client
from dstream_sandbox.servicebus.nodes.management import Management
from dstream_sandbox.servicebus.nodes.publishing import BATCH_ENVELOPE, EntitySender, Sink
from dstream_sandbox.servicebus.nodes.receiving import attach_receiver
from dstream_sandbox.servicebus.nodes.requests import ReplyLink, Request, RequestLink, Response

__all__ = ["Namespace"]

_SENDER_CREDIT = 1000
_REQUEST_CREDIT = 100
_REQUEST_BYTES = 1 << 20


class Namespace:
    """Implements `amqp.Container`. One loop, one thread. Owns the tasks of its links; `close` waits for them."""

    def __init__(
        self,
        broker: Broker,
        keys: KeyRing,
        *,
        faults: Faults,
        counters: Counters,
        clock: Callable[[], float],
        sink: bool = False,
    ) -> None:
        self._broker = broker
        self._keys = keys
        self._faults = faults
        self._counters = counters
        self._clock = clock
        self._sink = sink
        self._clients: dict[Connection, Client] = {}
        self._senders: weakref.WeakSet[EntitySender] = weakref.WeakSet()
        self._tasks: set[asyncio.Future[None]] = set()

    @property
    def connections(self) -> list[Connection]:
        return list(self._clients)

    def apply_faults(self) -> None:
        """Apply the current faults to open connections."""
        for connection in self.connections:
            self._strain(connection)
        for sender in list(self._senders):
            sender.disturb_idle()

    async def close(self) -> None:
        """Close all connections, and wait for running tasks."""
        for connection in self.connections:
            connection.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in self.connections:
            connection.abort()  # a peer that does not read would keep its connection open forever

    # amqp.Container

    def connected(self, connection: Connection) -> None:
        self._counters.connections += 1
        self._counters.connections_open += 1
        self._clients[connection] = Client(connection, self._clock)
        if self._faults.strike("refuse_connection"):
            connection.abort()
        elif self._faults:
            self._strain(connection)

    def disconnected(self, connection: Connection) -> None:
        if self._clients.pop(connection, None):
            self._counters.connections_open -= 1

    def authenticate(self, connection: Connection, mechanism: str, response: bytes) -> bool:
        if mechanism != "PLAIN":
            return True  # ANONYMOUS, EXTERNAL and MSSBCBS: the tokens on $cbs authenticate
        _, _, credentials = response.partition(b"\0")
        name, _, password = credentials.partition(b"\0")
        grant = self._keys.check_password(name.decode("utf-8", "replace"), password.decode("utf-8", "replace"))
        if grant is None:
            return False
        self._clients[connection].grant_by_password(grant)
        return True

    def is_logged_in(self, connection: Connection) -> bool:
        client = self._clients.get(connection)
        return client is not None and client.is_logged_in

    def attach_incoming(self, link: IncomingLink) -> None:
        target = link.attach.target
        try:
            if target is None:
                raise AmqpError("amqp:not-implemented", "The sandbox does not support transactions.")
            self._attach_sender(link, path_of(target.address))
        except AmqpError as exc:
            link.refuse(exc)

    def attach_outgoing(self, link: OutgoingLink) -> None:
        client = self._clients[link.connection]
        path = path_of(link.attach.source.address) if link.attach.source else ""
        try:
            if path == CBS:
                ReplyLink(link, path, client.replies)
                return
            client.require_any(path)
            self._refuse_by_fault(path, "receive")
            if path.endswith(MANAGEMENT_SUFFIX):
                ReplyLink(link, path, client.replies)
                return
            client.require(path, "Listen")
        except AmqpError as exc:
            link.refuse(exc)
            return
        work = attach_receiver(
            link, path, client, broker=self._broker, faults=self._faults, counters=self._counters, spawn=self._spawn
        )
        link.pending = self._spawn(work)

    # Inside

    def _strain(self, connection: Connection) -> None:
        slow, stall = self._faults.active("slow"), self._faults.active("stall")
        connection.read_rate = slow.rate if slow else 0.0
        if stall is None:
            connection.unstall()
            return
        connection.stall()
        if stall.seconds:
            asyncio.get_running_loop().call_later(stall.seconds, connection.unstall)

    def _attach_sender(self, link: IncomingLink, path: str) -> None:
        client = self._clients[link.connection]
        if path == CBS:
            self._attach_request_node(link, path, client, partial(self._put_token, client))
            return
        client.require_any(path)
        self._refuse_by_fault(path, "send")
        if path.endswith(MANAGEMENT_SUFFIX):
            entity = entity_of(path)
            if not self._sink:
                self._broker.require(entity, for_send=False)
            self._attach_request_node(link, path, client, Management(entity, self._broker, client).answer)
            return
        client.require(path, "Send")
        limit = self._broker.max_message_size
        properties: dict[object, object] = {
            Symbol("com.microsoft:max-message-batch-size"): ULong(self._broker.max_batch_size)
        }
        if self._sink:
            handler: Sink | EntitySender = Sink(link, self._counters)
        else:
            self._broker.require(path, for_send=True)
            handler = EntitySender(
                link,
                path,
                client,
                self._broker.send,
                self._spawn,
                self._faults,
                self._counters,
                self._broker.max_batch_size,
                self._clock,
            )
            self._senders.add(handler)
        link.accept(
            handler,
            credit=_SENDER_CREDIT,
            max_message_size=max(limit, self._broker.max_batch_size),
            tolerance=BATCH_ENVELOPE,
            properties=properties,
        )

    def _attach_request_node(
        self, link: IncomingLink, node: str, client: Client, answer: Callable[[Request], Awaitable[Response]]
    ) -> None:
        handler = RequestLink(link, node, client.replies, answer, self._spawn)
        link.accept(handler, credit=_REQUEST_CREDIT, max_message_size=_REQUEST_BYTES)

    async def _put_token(self, client: Client, request: Request) -> Response:
        broker = None if self._sink else self._broker
        return put_token(client, request, keys=self._keys, faults=self._faults, broker=broker, clock=self._clock)

    def _refuse_by_fault(self, path: str, side: Side) -> None:
        fault = self._faults.strike("refuse_attach", path, on=side)
        if fault is not None:
            raise fault.error()

    def _spawn(self, work: Awaitable[None]) -> asyncio.Future[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Future[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A bug of the sandbox: the client would wait forever, so report it to the loop's handler.
            asyncio.get_running_loop().call_exception_handler({"message": "link work failed", "exception": error})

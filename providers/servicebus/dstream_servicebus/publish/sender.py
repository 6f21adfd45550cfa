"""One link to one entity, used by one thread at a time (the SDK's senders are not thread-safe).

Every call into the SDK has a timeout and, since the SDK does not always respect it, a watchdog. If a failure leaves the
connection in doubt, the sender drops it and uses a new client, connection and link.
"""

from __future__ import annotations

import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from azure.core.exceptions import AzureError
from azure.servicebus import ServiceBusClient, ServiceBusSender
from azure.servicebus.exceptions import ServiceBusError
from dstream_stacks.entities import EntityKind

from dstream_servicebus.publish.batches import MAX_BYTES, LinkLimits
from dstream_servicebus.publish.message import Message
from dstream_servicebus.publish.sdk_batch import FillBatch, to_sdk_message
from dstream_servicebus.publish.watchdog import Watchdog
from dstream_servicebus.retry import REFUSED

GRACE_S = 5.0
"""How long after its timeout the watchdog aborts a call."""

IDLE_S = 9 * 60.0
"""Reconnect before the service detaches an idle link, after 10 minutes (Microsoft: "AMQP errors", link is force
detached)."""

CLOSE_S = 0.3
"""Enough to send the closing frames."""

SOCKET_TIMEOUT_S = 1.0
"""The SDK's 0.2 s fails on uplinks below 320 KB/s in the middle of a frame; more would delay close."""

SLOWEST_UPLINK = 250_000
"""Bytes per second. A send has its timeout plus the time that its bytes take at this rate: 100 MB need no less."""


class EntitySender:
    """Call `open` before each send: it connects if needed. All methods raise the SDK's exceptions."""

    def __init__(
        self,
        entity: str,
        kind: EntityKind,
        connect: Callable[[], ServiceBusClient],
        fill: FillBatch,
        watchdog: Watchdog,
        timeout_s: float,
    ) -> None:
        self.entity = entity
        self._kind = kind
        self._connect = connect
        self._fill = fill
        self._watchdog = watchdog
        self._timeout_s = timeout_s
        self._link: tuple[ServiceBusClient, ServiceBusSender] | None = None
        self._limits: LinkLimits | None = None
        self._last_used = 0.0

    def open(self) -> LinkLimits:
        """Connect if needed, and return the link's limits."""
        if self._link is not None and time.monotonic() - self._last_used > IDLE_S:
            self.drop()
        if self._link is None or self._limits is None:
            self._limits = self._open()
            self._last_used = time.monotonic()
        return self._limits

    def is_lost(self) -> bool:
        """Whether the other side has closed the open connection, which the SDK notices only when it sends.

        The connection's socket has no public name; without it, or without POLLRDHUP (Linux), this returns False.
        """
        if self._link is None:
            return False
        transport = _transport(self._link[1])
        if not hasattr(select, "POLLRDHUP") or not hasattr(transport, "sock"):
            return False
        poll = select.poll()
        try:
            poll.register(transport.sock, select.POLLRDHUP)
        except (TypeError, ValueError):  # the SDK has noticed and closed it
            return True
        return bool(poll.poll(0))

    def keep_alive(self) -> None:
        """Send an empty frame if the open connection has sent nothing for half of the service's idle timeout.

        Instead of the SDK's keep-alive, whose thread reads from the connection for up to a second every 30 s: until it
        ends, nothing can be sent, and it can drop a message that is being sent from the list of those to send.
        """
        if self._link is not None:
            with suppress(Exception):  # the next send finds out what is wrong
                _connection(self._link[1])._get_remote_timeout(time.time())

    def send(self, messages: Sequence[Message], max_bytes: int) -> tuple[int, int]:
        """Send the leading messages as one batch; return how many, and their bytes. `max_bytes`: at most the link's
        limit."""
        sender = self._opened()
        with self._limited():
            batch = sender.create_message_batch(max_bytes)
        taken = self._fill(batch, messages)
        size = sum(message.size for message in messages[:taken])
        timeout_s = self._timeout(size)
        with self._limited(timeout_s):
            sender.send_messages(batch, timeout=timeout_s)
        self._last_used = time.monotonic()
        return taken, size

    def send_single(self, message: Message) -> None:
        """Send one message that is too large for a batch."""
        sender = self._opened()
        timeout_s = self._timeout(message.size)
        with self._limited(timeout_s):
            sender.send_messages(to_sdk_message(message), timeout=timeout_s)
        self._last_used = time.monotonic()

    def drop(self) -> None:
        """Drop the connection; the next use opens a new one."""
        link, self._link = self._link, None
        self._limits = None
        if link is None:
            return
        closing = threading.Thread(target=_close, args=link, name=f"close {self.entity}", daemon=True)
        closing.start()
        closing.join(CLOSE_S)

    def _open(self) -> LinkLimits:
        self.drop()
        client = self._connect()
        get = client.get_queue_sender if self._kind == "queue" else client.get_topic_sender
        sender = get(self.entity, socket_timeout=SOCKET_TIMEOUT_S, **_keep_alive_options())
        _stay_open_when_refused(sender)
        self._link = (client, sender)
        with self._limited():
            announced = sender.create_message_batch().max_size_in_bytes
        max_batch_bytes = min(announced, MAX_BYTES)
        # The link's limit for a single message has no public name; without it, the batch's limit applies to both.
        max_message_bytes = getattr(sender, "_max_message_size_on_link", None) or announced
        return LinkLimits(max_batch_bytes, max(max_batch_bytes, max_message_bytes))

    def _opened(self) -> ServiceBusSender:
        assert self._link is not None  # `open` comes before every send
        return self._link[1]

    def _timeout(self, size: int) -> float:
        return self._timeout_s + size / SLOWEST_UPLINK

    @contextmanager
    def _limited(self, timeout_s: float | None = None) -> Iterator[None]:
        """Limit a call into the SDK in time, and turn any failure into an SDK exception."""
        limit_s = (timeout_s or self._timeout_s) + GRACE_S
        with self._watchdog.limit(limit_s, self._abort) as watch:
            try:
                yield
            except Exception as error:
                if watch.aborted:
                    raise ServiceBusError(f"no answer within {limit_s:g} s; the connection was closed") from error
                if isinstance(error, (AzureError, OSError)):
                    raise
                # a client that breaks or is closed during a call fails anywhere inside the SDK
                raise ServiceBusError(f"the connection failed: {type(error).__name__}: {error}") from error

    def _abort(self) -> None:
        link = self._link
        if link is not None:
            _shut_down(link[1])
            _close(*link)


def _stay_open_when_refused(sender: ServiceBusSender) -> None:
    """Keep the SDK from closing the connection when the service refuses a message.

    It closes it after most errors (`_base_handler._handle_exception`, azure-servicebus 7.15). Opening one takes half a
    second, and finding one message in a batch takes a dozen refusals. A refusal is the outcome of one transfer and
    leaves the link open (OASIS AMQP 1.0, part 3.4). Without these private names, finding a message only takes longer.
    """
    try:
        from azure.servicebus._pyamqp.error import MessageException

        close_handler: Callable[[], None] = sender._close_handler
    except (ImportError, AttributeError):
        return

    def close_unless_refused() -> None:
        # The SDK handles an error of its own, raised while it handled the outcome of the transfer.
        error = getattr(sys.exc_info()[1], "__context__", None)
        if not (isinstance(error, MessageException) and _text(error.condition) in REFUSED):
            close_handler()

    sender._close_handler = close_unless_refused  # type: ignore[method-assign]


def _text(condition: bytes | None) -> str:
    """The text of an error condition, which the SDK has as bytes or as a member of an enum of bytes."""
    return bytes(condition or b"").decode("ascii", "replace")


def _keep_alive_options() -> dict[str, Any]:
    """Turn the SDK's keep-alive off, if this SDK has the private name that `EntitySender.keep_alive` needs."""
    try:
        from azure.servicebus._pyamqp._connection import Connection
    except ImportError:
        return {}
    return {"keep_alive": 0} if hasattr(Connection, "_get_remote_timeout") else {}


def _connection(sender: ServiceBusSender) -> Any:
    """Its connection, which has no public name."""
    return getattr(getattr(sender, "_handler", None), "_connection", None)


def _transport(sender: ServiceBusSender) -> Any:
    return getattr(_connection(sender), "_transport", None)


def _shut_down(sender: ServiceBusSender) -> None:
    """End a read that waits for the peer to open the connection, which the SDK does not close."""
    sock = getattr(_transport(sender), "sock", None)
    if isinstance(sock, socket.socket):
        with suppress(OSError):  # during the TLS handshake, which has a timeout, it is detached
            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not the one of TLS, which is for the reading thread


def _close(client: ServiceBusClient, sender: ServiceBusSender) -> None:
    try:
        sender.close()
        client.close()
    except Exception:  # noqa: BLE001, S110  # the link is dropped anyway
        pass

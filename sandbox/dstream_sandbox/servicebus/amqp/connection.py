"""One client connection: protocol headers, SASL, open and close, idle timeout, and dispatch to its sessions.

Runs on one asyncio loop, in the protocol's callbacks; the only timer is the idle check. The first octets determine
whether a client uses AMQP or starts a WebSocket (OASIS AMQP 1.0, part 2, sections 2.2 and 2.4; part 5, section 5.3).
"""

from __future__ import annotations

import asyncio
from typing import cast

from dstream_sandbox.servicebus.amqp import frames, performatives
from dstream_sandbox.servicebus.amqp.container import Container
from dstream_sandbox.servicebus.amqp.frames import FrameReader
from dstream_sandbox.servicebus.amqp.performatives import Code
from dstream_sandbox.servicebus.amqp.session import Session
from dstream_sandbox.servicebus.amqp.values import MalformedValue
from dstream_sandbox.servicebus.amqp.websocket import MAX_REQUEST_BYTES, WebSocket, handshake
from dstream_sandbox.servicebus.core import AmqpError

__all__ = ["MAX_FRAME_SIZE", "Connection"]

MAX_FRAME_SIZE = 65536  # as announced by the service
IDLE_TIMEOUT_MS = 240_000  # as announced by the service
LOGIN_TIMEOUT_S = 20.0
"""From the connection to the first valid token, as in the service (Microsoft, "AMQP 1.0 in Azure Service Bus and Event
Hubs protocol guide", "Claims-based authorization"). A password (SASL PLAIN) counts, too."""
_MAX_OPEN_FRAME_SIZE = 4096
"""For `open` itself, a peer may use only 512 octets (section 2.4.1). Microsoft's SDKs put product, platform and user
agent into it. The service's own limit is unconfirmed."""
_FLUSH_AT_BYTES = 256 * 1024
_CHANNEL_MAX = 4999
_WRITE_LIMIT_BYTES = 1 << 20
_MECHANISMS = ["MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"]
_SASL_OK, _SASL_AUTH = 0, 1


class Connection(asyncio.Protocol):
    def __init__(self, container: Container, login_timeout_s: float = LOGIN_TIMEOUT_S) -> None:
        self.container = container
        self.peer_max_frame_size = 512
        self.sessions: dict[int, Session] = {}
        self.closed = False
        self.paused = False
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader(_MAX_OPEN_FRAME_SIZE)
        self._login_timeout_s = login_timeout_s
        self._request: bytearray | None = bytearray()  # the first octets, until AMQP or HTTP is detected
        self._websocket: WebSocket | None = None
        self._expects_header = True
        self._authenticated = False
        self._opened = False
        self._stalled = False
        self.read_rate = 0.0
        """Maximum octets read per second; 0: no limit."""
        self._out: list[bytes] = []
        self._out_size = 0
        self._last_in = self._last_out = self._loop.time()
        self._peer_idle_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._login_timer: asyncio.TimerHandle | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=_WRITE_LIMIT_BYTES)
        self._schedule_idle_check()
        self._login_timer = self._loop.call_later(self._login_timeout_s, self._require_login)
        self.container.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        for timer in (self._timer, self._login_timer):
            if timer:
                timer.cancel()
        sessions, self.sessions = list(self.sessions.values()), {}
        for session in sessions:
            session.close()
        self.container.disconnected(self)

    def data_received(self, data: bytes) -> None:
        self._last_in = self._loop.time()
        try:
            octets = self._unwrap(data)
            if octets and not self.closed:
                self._reader.feed(octets)
                self._advance()
        except (MalformedValue, ValueError) as exc:
            self.close(AmqpError("amqp:decode-error", str(exc)))
        if self.read_rate and not self._stalled:
            self.stall()
            self._loop.call_later(len(data) / self.read_rate, self.unstall)

    def eof_received(self) -> None:
        self.transport.close()

    def pause_writing(self) -> None:
        """The peer does not read. Before the login, it has no reason to."""
        self.paused = True
        if not self.container.is_logged_in(self):
            self.abort()

    def resume_writing(self) -> None:
        self.paused = False
        for session in list(self.sessions.values()):
            session.on_writable()

    # For sessions, links and the container

    @property
    def writable(self) -> bool:
        return not self.paused and not self.closed

    def send(self, channel: int, body: bytes, payload: bytes = b"") -> None:
        self._write(frames.frame(frames.AMQP_FRAME, channel, body, payload))

    def close(self, error: AmqpError | None = None) -> None:
        if self.closed:
            return
        if self._opened:
            self.send(0, performatives.close(error))
        self._flush()
        self.closed = True
        self.transport.close()

    def abort(self) -> None:
        """Drop the connection without a close frame."""
        self.closed = True
        self._out.clear()
        self.transport.abort()

    def stall(self) -> None:
        """Stop reading, like a hung peer; `unstall` resumes."""
        if not self._stalled and not self.transport.is_closing():
            self._stalled = True
            self.transport.pause_reading()

    def unstall(self) -> None:
        if self._stalled and not self.transport.is_closing():
            self._stalled = False
            self.transport.resume_reading()

    # Inside

    def _unwrap(self, data: bytes) -> bytes:
        """Return the AMQP octets in `data`, which may be the content of a WebSocket."""
        if self._request is not None:
            self._request += data
            if not b"GET ".startswith(self._request[:4]):
                data, self._request = bytes(self._request), None
                return data
            head, separator, rest = bytes(self._request).partition(b"\r\n\r\n")
            if not separator:
                if len(head) > MAX_REQUEST_BYTES:
                    raise ValueError("request head too long")
                return b""
            self._request = None
            try:
                self.transport.write(handshake(head))
            except ValueError:
                self.transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                self.transport.close()
                return b""
            self._websocket, data = WebSocket(), rest
        if self._websocket is None:
            return data
        octets = self._websocket.feed(data, None if self._opened else _MAX_OPEN_FRAME_SIZE)
        for reply in self._websocket.replies:
            self.transport.write(reply)
        self._websocket.replies.clear()
        if self._websocket.closed:
            self.transport.close()
        return octets

    def _advance(self) -> None:
        while not self.closed:
            if self._expects_header:
                header = self._reader.protocol_header()
                if header is None:
                    return
                self._on_header(header)
                continue
            for kind, channel, body in self._reader.frames():
                self._on_frame(kind, channel, body)
                if self._expects_header or self.closed:
                    break
            else:
                return

    def _on_header(self, header: bytes) -> None:
        self._expects_header = False
        if header == frames.SASL_HEADER and not self._authenticated:
            self._reader.max_frame_size = frames.MIN_MAX_FRAME_SIZE
            self._write(header + frames.frame(frames.SASL_FRAME, 0, performatives.sasl_mechanisms(_MECHANISMS)))
        elif header == frames.AMQP_HEADER:
            self._write(header)
        else:
            self._write(frames.SASL_HEADER)  # section 2.2: respond with a supported header and close
            self._flush()
            self.closed = True
            self.transport.close()

    def _on_frame(self, kind: int, channel: int, body: bytes) -> None:
        if not body:
            return  # heartbeat
        code, fields, end = performatives.parse(body)
        if kind == frames.SASL_FRAME:
            if code == Code.SASL_INIT and not self._authenticated:
                self._on_sasl_init(*performatives.sasl_init(fields))
        elif not self._opened and code not in (Code.OPEN, Code.CLOSE):
            raise MalformedValue(f"frame {code} before open")  # section 2.4.1: open is the first frame
        elif code == Code.OPEN:
            self._on_open(fields)
        elif code == Code.BEGIN:
            self.sessions[channel] = Session(self, channel, fields)
        elif code == Code.END:
            session = self.sessions.pop(channel, None)
            if session:
                session.end()
        elif code == Code.CLOSE:
            self.close()
        else:
            session = self.sessions.get(channel)
            if session and not session.ended:
                session.on_frame(code, fields, body[end:])

    def _on_sasl_init(self, mechanism: str, response: bytes) -> None:
        granted = self.container.authenticate(self, mechanism, response)
        outcome = performatives.sasl_outcome(_SASL_OK if granted else _SASL_AUTH)
        self._write(frames.frame(frames.SASL_FRAME, 0, outcome))
        if granted:
            self._authenticated = self._expects_header = True
            self._reader.max_frame_size = _MAX_OPEN_FRAME_SIZE
            return
        self._flush()
        self.closed = True
        self.transport.close()

    def _on_open(self, fields: list[object]) -> None:
        max_frame_size, idle_ms = performatives.open_limits(fields)
        self.peer_max_frame_size = max(512, min(max_frame_size, MAX_FRAME_SIZE))
        self._peer_idle_s = idle_ms / 1000
        self._opened = True
        self._reader.max_frame_size = MAX_FRAME_SIZE
        self.send(0, performatives.open_("dstream-sandbox", MAX_FRAME_SIZE, _CHANNEL_MAX, IDLE_TIMEOUT_MS))
        if self._timer:
            self._timer.cancel()
        self._schedule_idle_check()

    def _write(self, data: bytes) -> None:
        """Send the writes of one loop iteration together. Large amounts are sent immediately, so that the transport
        reports a peer that does not keep up."""
        if self.closed:
            return
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)
        self._out_size += len(data)
        if self._out_size > _FLUSH_AT_BYTES:
            self._flush()

    def _flush(self) -> None:
        if not self._out:
            return
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self._out_size = 0
        self._last_out = self._loop.time()
        self.transport.write(WebSocket.wrap(data) if self._websocket else data)

    def _require_login(self) -> None:
        if self.container.is_logged_in(self):
            return
        if self._stalled or self.read_rate:  # the server does not read what the client sent
            self._login_timer = self._loop.call_later(self._login_timeout_s, self._require_login)
            return
        self.abort()

    def _schedule_idle_check(self) -> None:
        # A third of the announced timeout: the peer may enforce half of it (section 2.4.5).
        interval = min(self._peer_idle_s / 3 or 30.0, 30.0)
        self._timer = self._loop.call_later(interval, self._check_idle, interval)

    def _check_idle(self, interval: float) -> None:
        now = self._loop.time()
        if now - self._last_in > 2 * IDLE_TIMEOUT_MS / 1000 and not self._stalled:
            self.close(AmqpError("amqp:resource-limit-exceeded", "The connection was inactive for too long."))
            return
        if self._opened and now - self._last_out >= interval / 2:
            self._write(frames.EMPTY_FRAME)
        self._schedule_idle_check()

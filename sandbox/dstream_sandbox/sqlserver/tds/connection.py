"""One client's connection from PRELOGIN to disconnect: passes requests on and sends the answers.

Runs in the connection's own thread. While a request runs, `AttentionWatch` may call `_on_readable` from its thread.
"""

from __future__ import annotations

import logging
import select
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from dstream_sandbox.sqlserver.interference import Interference
from dstream_sandbox.sqlserver.session import (
    Columns,
    Done,
    Engine,
    Event,
    Message,
    OutputValue,
    Param,
    ReturnStatus,
    Rows,
    Session,
    SqlError,
)
from dstream_sandbox.sqlserver.tds import packets, tokens
from dstream_sandbox.sqlserver.tds.attention import AttentionWatch
from dstream_sandbox.sqlserver.tds.bulk_load import BulkInsert, parse_insert_bulk, read_bulk_rows
from dstream_sandbox.sqlserver.tds.byte_reader import ProtocolError
from dstream_sandbox.sqlserver.tds.login import TDS_7_3_B
from dstream_sandbox.sqlserver.tds.packets import MessageIgnored, MessageWriter, PacketType
from dstream_sandbox.sqlserver.tds.procedures import Procedures
from dstream_sandbox.sqlserver.tds.replay import Replay, replay_key
from dstream_sandbox.sqlserver.tds.requests import (
    BeginRequest,
    EndRequest,
    SaveRequest,
    TransactionRequest,
    read_batch,
    read_calls,
    read_transaction_request,
)
from dstream_sandbox.sqlserver.tds.response import Response
from dstream_sandbox.sqlserver.tds.signing_in import SignedIn, sign_in
from dstream_sandbox.sqlserver.tds.transport import Disconnected, Transport

_log = logging.getLogger(__name__)
_FATAL_SEVERITY = 20
"""Microsoft Learn, "Database Engine error severities": errors of this severity and above end the connection."""


@dataclass(frozen=True, slots=True)
class Server:
    """What all connections of one server share."""

    engine: Engine
    tls: ssl.SSLContext
    attention: AttentionWatch
    interference: Interference
    replay: Replay | None = None


def serve(sock: socket.socket, server: Server, arrived: Callable[[], None]) -> None:
    """Serve one client until it disconnects or breaks the protocol. Closes the session, but not the socket.

    `arrived` is called once the client has sent its login.
    """
    transport = Transport(sock)
    try:
        disturb = partial(server.interference.at_login, sock)
        signed_in = sign_in(transport, server.tls, server.engine, disturb, arrived)
        if signed_in is None:
            return
    except (Disconnected, ProtocolError, MessageIgnored) as error:
        _log.debug("login not completed: %r", error)
        return
    try:
        _Connection(sock, transport, signed_in, server).run()
    except Disconnected:
        pass  # the normal end of a connection
    except ProtocolError as error:
        _log.warning("session %d: protocol error: %s", signed_in.session.spid, error)
    finally:
        signed_in.session.close()


class _Connection:
    def __init__(self, sock: socket.socket, transport: Transport, signed_in: SignedIn, server: Server) -> None:
        self._socket = sock
        self._transport = transport
        self._session: Session = signed_in.session
        self._login = signed_in.login
        self._attention = server.attention
        self._interference = server.interference
        self._replay = server.replay
        self._response: Response
        self._procedures = Procedures(self._session, self._execute_in_procedure)
        self._bulk: BulkInsert | None = None
        self._arrivals = select.poll()
        self._arrivals.register(sock, select.POLLIN | select.POLLRDHUP)
        self._lock = threading.Lock()  # guards the two attributes below
        self._running = False
        self._cancelled = False
        self._ends = False

    def run(self) -> None:
        self._attention.watch(self._socket.fileno(), self._on_readable)
        try:
            while True:
                self._serve_next()
        finally:
            self._attention.forget(self._socket.fileno())

    def _serve_next(self) -> None:
        try:
            message = packets.Message(self._transport)
        except MessageIgnored:
            return
        writer = MessageWriter(
            self._transport, PacketType.RESPONSE, packet_bytes=self._login.packet_bytes, spid=self._session.spid
        )
        if message.type == PacketType.ATTENTION:
            writer.write(tokens.done(tokens.DONE, tokens.ATTENTION_ACKNOWLEDGED))
            writer.finish()
            return
        if message.resets:
            self._reset(message, writer)
        try:
            self._answer(message, writer)
        except MessageIgnored:
            return
        if self._cancelled:
            # The interrupted request ends first; the ATTENTION, read next, has its own answer (tedious requires both).
            self._cancelled = False
            writer.write(tokens.done(tokens.DONE, tokens.HAS_ERROR))
        writer.finish()
        if self._ends:
            raise Disconnected

    def _answer(self, message: packets.Message, writer: MessageWriter) -> None:
        try:
            match message.type:
                case PacketType.SQL_BATCH:
                    self._answer_batch(read_batch(message), writer)
                case PacketType.RPC:
                    self._answer_calls(message, writer)
                case PacketType.TRANSACTION_MANAGER:
                    self._answer_transaction(read_transaction_request(message), writer)
                case PacketType.BULK_LOAD:
                    self._answer_bulk_load(message, writer)
                case _:
                    raise ProtocolError(f"unexpected message of type {message.type}")
        except SqlError as error:
            message.skip_rest()
            self._refuse(error, writer)
        except (Disconnected, ProtocolError, MessageIgnored):
            raise
        except Exception as error:
            _log.exception("session %d: request failed", self._session.spid)
            failure = SqlError(40000, f"Internal error in the sandbox: {error!r}", severity=20)
            self._refuse(failure, writer)
            writer.finish()
            raise Disconnected from error

    def _answer_batch(self, sql: str, writer: MessageWriter) -> None:
        bulk = parse_insert_bulk(sql)
        if bulk is not None:
            self._bulk = bulk
            writer.write(tokens.done(tokens.DONE))
            return
        self._response = self._new_response(writer)
        self._send(self._execute(sql, (), "", in_procedure=False))
        self._end_batch()

    def _answer_calls(self, message: packets.Message, writer: MessageWriter) -> None:
        calls = list(read_calls(message))
        for position, call in enumerate(calls, 1):
            self._response = self._new_response(writer, in_procedure=True)
            self._send(self._procedures.call(call))
            if self._cancelled:
                return
            self._response.end_procedure(call.params, more=position < len(calls))

    def _answer_transaction(self, request: TransactionRequest, writer: MessageWriter) -> None:
        self._response = self._new_response(writer)
        self._send(self._transaction_events(request))
        self._end_batch()

    def _answer_bulk_load(self, message: packets.Message, writer: MessageWriter) -> None:
        bulk, self._bulk = self._bulk, None
        if bulk is None:
            raise SqlError(
                4002, "The incoming tabular data stream (TDS) protocol stream is incorrect: no INSERT BULK came before."
            )
        load = read_bulk_rows(message)
        count = self._session.bulk_insert(
            bulk.table,
            bulk.columns or load.names,
            load.rows,
            types=load.types,
            check_constraints=bulk.check_constraints,
        )
        message.skip_rest()
        self._response = self._new_response(writer)
        self._response.event(Done(count))
        self._response.end_batch()

    def _transaction_events(self, request: TransactionRequest) -> Iterator[Event]:
        match request:
            case BeginRequest():
                yield from self._session.begin(request.name, request.isolation)
            case SaveRequest():
                yield from self._session.save(request.name)
            case EndRequest():
                end = self._session.commit if request.commits else self._session.rollback
                yield from end(request.name)
                if request.then:
                    yield from self._session.begin(request.then.name, request.then.isolation)

    def _execute_in_procedure(self, sql: str, params: Sequence[Param], declarations: str) -> Iterator[Event]:
        return self._execute(sql, params, declarations, in_procedure=True)

    def _execute(self, sql: str, params: Sequence[Param], declarations: str, *, in_procedure: bool) -> Iterator[Event]:
        run = partial(self._run, sql, params, declarations=declarations, in_procedure=in_procedure)
        if self._replay is None:
            return run()
        key = replay_key(self._session.database, in_procedure, sql, params, declarations)
        return run() if key is None else self._replayed(self._replay, key, run)

    def _run(self, sql: str, params: Sequence[Param], **how: Any) -> Iterator[Event]:
        events = self._session.execute(sql, params, **how)
        return self._interference.around(self._socket, self._session, sql, events)

    def _replayed(self, replay: Replay, key: Hashable, run: Callable[[], Iterator[Event]]) -> Iterator[Event]:
        """Yield no events if there is a recording: its tokens are sent unchanged."""
        response = self._response
        recording = replay.get(key)
        if recording is not None:
            response.send_recording(recording)
            return
        response.start_recording()
        yield from run()
        recording = response.stop_recording()
        if recording is not None and not self._cancelled:
            replay.keep(key, recording)

    def _send(self, events: Iterator[Event]) -> None:
        """Answer as events come. Once cancelled, send only what changes the session, until the engine stops."""
        with self._cancellable():
            if self._transport.has_unread():
                self._cancelled = True  # the ATTENTION arrived together with its request
            else:
                self._send_each(events)
            if isinstance(events, Generator):
                events.close()

    def _send_each(self, events: Iterator[Event]) -> None:
        for event in events:
            self._ends |= isinstance(event, Message) and event.severity >= _FATAL_SEVERITY
            if self._cancelled and isinstance(event, Columns | Rows | Done | Message | ReturnStatus | OutputValue):
                continue
            self._response.event(event)

    def _end_batch(self) -> None:
        if not self._cancelled:
            self._response.end_batch()

    def _refuse(self, error: SqlError, writer: MessageWriter) -> None:
        response = self._new_response(writer)
        response.message(Message(error.number, error.severity, error.state, error.text))
        response.end_batch()

    def _reset(self, message: packets.Message, writer: MessageWriter) -> None:
        if message.skips_transaction and self._session.transaction_descriptor:
            # A pooled connection inside one System.Transactions scope: keep the transaction and reset nothing.
            writer.write(tokens.reset_acknowledged())
            return
        self._session.reset()
        self._procedures.reset()
        writer.write(tokens.reset_acknowledged())

    def _new_response(self, writer: MessageWriter, *, in_procedure: bool = False) -> Response:
        return Response(
            writer.write,
            in_procedure=in_procedure,
            compact=self._login.tds_version >= TDS_7_3_B,
            database=self._session.database,
        )

    @contextmanager
    def _cancellable(self) -> Iterator[None]:
        with self._lock:
            self._running = True
        descriptor = self._socket.fileno()
        self._attention.arm(descriptor)
        try:
            yield
        finally:
            self._attention.disarm(descriptor)
            with self._lock:
                self._running = False

    def _on_readable(self) -> bool:
        """The client sent something while its request runs: an ATTENTION or a disconnect."""
        with self._lock:
            # The watch may be late: then these bytes did not arrive during this request.
            if not self._running or not self._arrivals.poll(0):
                return False
            self._cancelled = True
            self._session.cancel()
            return True

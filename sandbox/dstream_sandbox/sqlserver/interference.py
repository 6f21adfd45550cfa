"""What injected faults do to logins and statements."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Generator, Iterator

from dstream_sandbox.sqlserver.faults import SqlFault, SqlFaults
from dstream_sandbox.sqlserver.session import Event, Message, Rows, Session, SqlError
from dstream_sandbox.sqlserver.tds.transport import Disconnected

_INTERVAL_MS = 50


class Interference:
    """Applies the faults of one server. `fail_over` starts to disconnect all clients and to restore a database."""

    def __init__(self, faults: SqlFaults, fail_over: Callable[[str], None]) -> None:
        self.faults = faults
        self._fail_over = fail_over

    def at_login(self, sock: socket.socket, login: str, database: str) -> None:
        """Raises SqlError or Disconnected."""
        fault = self.faults.strike("login", database)
        if fault is not None:
            self._apply(fault, sock)
            if fault.action == "error":
                raise fault.error(spid=0, login=login, database=database)

    def around(self, sock: socket.socket, session: Session, statement: str, events: Iterator[Event]) -> Iterator[Event]:
        """Return the events of a statement, disturbed by the faults that apply. May raise Disconnected."""
        return self._around(sock, session, statement, events) if self.faults else events

    def _around(
        self, sock: socket.socket, session: Session, statement: str, events: Iterator[Event]
    ) -> Iterator[Event]:
        try:
            if fault := self.faults.strike("statement", session.database, statement):
                yield from self._disturb(fault, sock, session)
                if fault.action == "error":
                    return
            fault = self.faults.strike("result", session.database, statement)
            for event in events:
                if fault is None or not isinstance(event, Rows) or not event.rows:
                    yield event
                    continue
                half = (len(event.rows) + 1) // 2
                yield Rows(event.rows[:half])
                yield from self._disturb(fault, sock, session)
                if fault.action == "error":
                    return
                yield Rows(event.rows[half:])
                fault = None
        finally:
            if isinstance(events, Generator):
                events.close()

    def _disturb(self, fault: SqlFault, sock: socket.socket, session: Session) -> Iterator[Event]:
        self._apply(fault, sock)
        if fault.action == "error":
            error = fault.error(spid=session.spid, login="", database=session.database)
            yield _message(error)
            if error.number == 1205 and session.transaction_descriptor:
                yield from session.rollback()

    def _apply(self, fault: SqlFault, sock: socket.socket) -> None:
        """Do what needs no session."""
        match fault.action:
            case "drop":
                raise Disconnected
            case "delay":
                time.sleep(fault.seconds)
            case "silence":
                self._be_silent(fault, sock)
            case "failover":
                self._fail_over(fault.entity or "")
                raise Disconnected
            case "error":
                pass

    def _be_silent(self, fault: SqlFault, sock: socket.socket) -> None:
        """Wait until the faults are cleared or the time is over. Raises Disconnected if the client disconnects."""
        cleared, ends = self.faults.cleared, time.monotonic() + (fault.seconds or float("inf"))
        closed = select.poll()
        closed.register(sock, select.POLLRDHUP)
        while self.faults.cleared == cleared and time.monotonic() < ends:
            if closed.poll(_INTERVAL_MS):
                raise Disconnected


def _message(error: SqlError) -> Message:
    return Message(error.number, error.severity, error.state, error.text)

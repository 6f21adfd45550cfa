"""The procedures that the wire itself implements: sp_executesql, sp_prepare and similar, cursors.

All other names go to the session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from dstream_sandbox.sqlserver.session import (
    Columns,
    Done,
    Event,
    Message,
    OutputValue,
    Param,
    ReturnStatus,
    Session,
    SqlError,
)
from dstream_sandbox.sqlserver.tds.arguments import Arguments
from dstream_sandbox.sqlserver.tds.cursors import Cursors
from dstream_sandbox.sqlserver.tds.prepared import PreparedCall, PreparedStatements, Statement, statement
from dstream_sandbox.sqlserver.tds.requests import RpcCall
from dstream_sandbox.sqlserver.tds.tokens import is_error
from dstream_sandbox.sqlserver.values import SqlType

Execute = Callable[[str, Sequence[Param], str], Iterator[Event]]
"""Runs a statement: sql, parameters, their declarations."""

_INT = SqlType("int")


class Procedures:
    """Handles one connection's calls. `execute` runs a statement's text: the session's, unless reads are replayed."""

    def __init__(self, session: Session, execute: Execute) -> None:
        self._session = session
        self._execute = execute
        self._prepared = PreparedStatements()
        self._cursors = Cursors(self._execute_for_cursor, self._prepared)
        self._own: dict[str, Callable[[Arguments], Iterator[Event]]] = {
            "sp_executesql": self._executesql,
            "sp_prepare": self._prepare,
            "sp_execute": self._execute_prepared,
            "sp_prepexec": self._prepare_and_execute,
            "sp_prepexecrpc": self._prepare_and_execute_call,
            "sp_unprepare": self._unprepare,
            "sp_reset_connection": self._reset,
            **self._cursors.procedures,
        }

    def call(self, call: RpcCall) -> Iterator[Event]:
        """Yield the events of one call. Never raises SqlError."""
        own = self._own.get(_bare_name(call.procedure))
        if own is None:
            yield from self._session.call(call.procedure, call.params)
            return
        try:
            yield from own(Arguments(call.params))
        except SqlError as error:
            yield Message(error.number, error.severity, error.state, error.text)
            yield ReturnStatus(error.number)

    def reset(self) -> None:
        """The reset-connection flag: discard handles and cursors."""
        self._prepared.clear()
        self._cursors.clear()

    def _executesql(self, arguments: Arguments) -> Iterator[Event]:
        sql = arguments.text("@stmt", "@statement")
        declarations = arguments.text("@params", optional=True)
        yield from self._run(statement(sql, declarations), arguments.rest())

    def _prepare(self, arguments: Arguments) -> Iterator[Event]:
        arguments.skip("@handle")
        declarations = arguments.text("@params", optional=True)
        sql = arguments.text("@stmt")
        options = arguments.integer("@options", default=1)
        columns = self._session.describe(sql, declarations) if options & 1 else ()
        if columns:
            yield Columns(columns)
            yield Done(0, is_select=True)
        yield OutputValue("@handle", _INT, self._prepared.prepare(sql, declarations))
        yield ReturnStatus(0)

    def _execute_prepared(self, arguments: Arguments) -> Iterator[Event]:
        prepared = self._prepared.get(arguments.integer("@handle"))
        if isinstance(prepared, PreparedCall):
            yield from self.call(RpcCall(prepared.procedure, arguments.rest()))
        else:
            yield from self._run(prepared, arguments.rest())

    def _prepare_and_execute(self, arguments: Arguments) -> Iterator[Event]:
        old = arguments.integer("@handle", default=0)
        declarations = arguments.text("@params", optional=True)
        sql = arguments.text("@stmt")
        if old:
            self._prepared.unprepare(old)
        handle = self._prepared.prepare(sql, declarations)
        yield OutputValue("@handle", _INT, handle)
        yield from self._run(self._prepared.statement(handle), arguments.rest())

    def _prepare_and_execute_call(self, arguments: Arguments) -> Iterator[Event]:
        old = arguments.integer("@handle", default=0)
        procedure = arguments.text("@rpccall")
        if old:
            self._prepared.unprepare(old)
        yield OutputValue("@handle", _INT, self._prepared.prepare_call(procedure))
        yield from self.call(RpcCall(procedure, arguments.rest()))

    def _unprepare(self, arguments: Arguments) -> Iterator[Event]:
        self._prepared.unprepare(arguments.integer("@handle"))
        yield ReturnStatus(0)

    def _execute_for_cursor(self, sql: str, params: Sequence[Param], declarations: str) -> Iterator[Event]:
        """Never replayed: a cursor needs the rows, not their tokens."""
        return self._session.execute(sql, params, declarations=declarations, in_procedure=True)

    def _reset(self, _: Arguments) -> Iterator[Event]:
        self._session.reset()
        self.reset()
        yield ReturnStatus(0)

    def _run(self, prepared: Statement, params: Sequence[Param]) -> Iterator[Event]:
        """Run a statement as sp_executesql and similar procedures do: the return status is the number of the last
        error."""
        status = 0
        for event in self._execute(prepared.sql, prepared.bind(params), prepared.declarations):
            if isinstance(event, Message) and is_error(event):
                status = event.number
            if not isinstance(event, ReturnStatus):
                yield event
        yield ReturnStatus(status)


def _bare_name(procedure: str) -> str:
    """`[sys].sp_prepare`, `master..sp_prepare` and sp_prepare are the same."""
    return procedure.rsplit(".", 1)[-1].strip('[]" ').lower()

"""Runs batches: control flow, the effects of errors, and statement dispatch.

Every runner is a generator of events; its return value tells the caller how control flow continues."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine import (
    change_statements,
    data_statements,
    definitions,
    description,
    procedures,
    simple_statements,
)
from dstream_sandbox.sqlserver.engine.catalog import rights
from dstream_sandbox.sqlserver.engine.catalog.model import Table
from dstream_sandbox.sqlserver.engine.control import Flow, Signal
from dstream_sandbox.sqlserver.engine.errors import unsupported
from dstream_sandbox.sqlserver.engine.failures import aborts_batch, dooms
from dstream_sandbox.sqlserver.engine.storage.locks import Cancelled
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.syntax import statements as st
from dstream_sandbox.sqlserver.engine.syntax.batch import parse_batch, parse_parameters
from dstream_sandbox.sqlserver.engine.syntax.simple_inserts import simplified
from dstream_sandbox.sqlserver.engine.types.convert import convert
from dstream_sandbox.sqlserver.engine.types.storage import Stored, from_stored, to_stored
from dstream_sandbox.sqlserver.engine.visits import visited_database
from dstream_sandbox.sqlserver.session import (
    Column,
    Done,
    Event,
    Message,
    OutputValue,
    Param,
    SqlError,
    TransactionChanged,
)
from dstream_sandbox.sqlserver.values import SqlType

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession

_TERMINATES = frozenset({220, 515, 547, 2601, 2627, 2628, 8115, 8134})
"""Errors of data changes that are followed by message 3621."""


class BatchAborted(Exception):
    """Ends the batch after its error has been reported."""


@dataclass(slots=True)
class _Try:
    """Nesting depth of TRY blocks in the running frame."""

    depth: int = 0


class BatchRunner:
    def __init__(self, session: SqlSession) -> None:
        self.session = session
        self.cancelled = threading.Event()
        self.tries = _Try()

    def run(self, work: Callable[[], Iterator[Event]]) -> Iterator[Event]:
        """Run the outermost frame of a request: errors become messages, ATTENTION ends it silently."""
        session = self.session
        self.cancelled.clear()
        self.tries = _Try()
        transaction = session.transaction
        if transaction is not None:
            transaction.cancelled = False
        session.status = "running"
        try:
            yield from work()
            yield from self._end_of_batch()
        except (BatchAborted, Cancelled):
            yield from self._end_of_batch()
        except SqlError as error:
            yield from self.report(error, 1)
            yield from self._end_of_batch()
        except sqlite3.Error as error:
            reason = session.translated(error)
            session.finish_statement(failed=True)
            if isinstance(reason, SqlError):
                yield from self.report(reason, 1)
            yield from self._end_of_batch()
        finally:
            session.status = "sleeping"

    def _end_of_batch(self) -> Iterator[Event]:
        session = self.session
        session.caught.clear()
        transaction = session.transaction
        if transaction is not None and transaction.doomed:
            text = "Uncommittable transaction is detected at the end of the batch. The transaction is rolled back."
            session.abort_transaction()
            yield Message(3998, 16, 1, text)
            yield TransactionChanged("rollback", transaction.id)

    def report(self, error: SqlError, line: int, procedure: str = "") -> Iterator[Event]:
        self.session.last_error = error.number if error.severity > 10 else 0
        yield Message(error.number, error.severity, error.state, error.text, procedure, line)

    # Batches and procedures

    def batch(self, sql: str, params: Sequence[Param], declarations: str) -> Iterator[Event]:
        session = self.session
        from dstream_sandbox.sqlserver.engine.session import Frame

        outer, session.frame = session.frame, Frame()
        try:
            outputs = self._declare(params, declarations)
            body = (None if params else self._simple_insert(sql)) or self.parse(sql)
            yield from self.block(body)
            for name in outputs:
                variable = session.frame.variables[name]
                yield OutputValue(name, variable.type, from_stored(variable.type, variable.value))
        finally:
            self._drop_table_variables()
            session.frame = outer

    def _simple_insert(self, sql: str) -> tuple[st.Statement, ...] | None:
        """Return an INSERT of constants as the parameterized statement shared by all of its kind, after setting its
        variables."""
        from dstream_sandbox.sqlserver.engine.session import Variable

        simple = simplified(sql)
        if simple is None:
            return None
        body = self.parse(simple.sql)
        (statement,) = body
        assert isinstance(statement, st.Insert)
        table = self.session.find(statement.target)
        if not isinstance(table, Table) or any(c.type.name == "sql_variant" for c in table.columns):
            return None
        for name, type_, value in simple.values:
            self.session.frame.variables[name] = Variable(type_, value)
        return body

    def parse(self, sql: str) -> tuple[st.Statement, ...]:
        found: tuple[st.Statement, ...] = self.session.engine.texts.obtain(sql, lambda: parse_batch(sql))
        return found

    def parameters_of(self, declarations: str) -> tuple[st.Parameter, ...]:
        if not declarations.strip():
            return ()
        found: tuple[st.Parameter, ...] = self.session.engine.texts.obtain(
            ("declarations", declarations), lambda: parse_parameters(declarations)
        )
        return found

    def _declare(self, params: Sequence[Param], declarations: str) -> list[str]:
        """Declare the parameters as variables; return the names of the output parameters."""
        declared = self.parameters_of(declarations)
        outputs: list[str] = []
        by_name = {p.name.lower(): p for p in params if p.name}
        positional = [p for p in params if not p.name]
        for i, parameter in enumerate(declared):
            given = by_name.get(parameter.name) or (positional[i] if i < len(positional) else None)
            if given is None:
                text = (
                    f"The parameterized query '({declarations[:100]})' expects the parameter '{parameter.name}', "
                    f"which was not supplied."
                )
                raise SqlError(8178, text)
            self._set_parameter(parameter.name, parameter.type, given)
            if given.is_output or parameter.output:
                outputs.append(parameter.name)
        if not declared:
            for i, given in enumerate(params):
                self._set_parameter(given.name.lower() or f"@p{i + 1}", given.type, given)
        return outputs

    def _set_parameter(self, name: str, type_: SqlType, given: Param) -> None:
        from dstream_sandbox.sqlserver.engine.session import Variable

        self.session.frame.variables[name] = Variable(
            type_, converted(to_stored(given.type, given.value), given.type, type_)
        )

    def _drop_table_variables(self) -> None:
        for table in self.session.frame.tables.values():
            self.session.drop_own_table(table)

    def call(self, procedure: str, params: Sequence[Param]) -> Iterator[Event]:
        return procedures.call(self, procedure, params)

    # Control flow

    def block(self, body: Sequence[st.Statement]) -> Flow:
        for statement in body:
            signal = yield from self.statement(statement)
            if signal is not None:
                return signal
        return None

    def statement(self, statement: st.Statement) -> Flow:
        if self.cancelled.is_set():
            raise Cancelled
        match statement:
            case st.Block():
                return (yield from self.block(statement.body))
            case st.If():
                return (yield from self._if(statement))
            case st.While():
                return (yield from self._while(statement))
            case st.TryCatch():
                return (yield from self._try(statement))
            case st.Break():
                return Signal("break")
            case st.Continue():
                return Signal("continue")
            case st.Return():
                return (yield from self._return(statement))
        return (yield from self._guarded(statement))

    def _condition(self, statement: st.If | st.While) -> Generator[Event, None, bool | None]:
        """Whether the condition is true; None if it failed and the batch continues."""
        home, visited = self.session.home, visited_database(self.session, statement)
        if visited is not None:
            self.session.enter(visited)
        try:
            return (yield from self._evaluated(statement))
        finally:
            if visited is not None:
                self.session.enter(home)

    def _evaluated(self, statement: st.If | st.While) -> Generator[Event, None, bool | None]:
        try:
            found = data_statements.truth(self.session, statement, statement.condition)
            self.session.finish_statement(failed=False)
        except SqlError as error:
            yield from self._failed(error, statement)
            return None
        return found

    def _if(self, statement: st.If) -> Flow:
        truth = yield from self._condition(statement)
        if truth:
            return (yield from self.statement(statement.then))
        if truth is not None and statement.otherwise is not None:
            return (yield from self.statement(statement.otherwise))
        return None

    def _while(self, statement: st.While) -> Flow:
        while (yield from self._condition(statement)):
            signal = yield from self.statement(statement.body)
            if signal is None or signal.kind == "continue":
                continue
            if signal.kind == "break":
                break
            return signal
        return None

    def _return(self, statement: st.Return) -> Flow:
        value = 0
        if statement.value is not None:
            found = data_statements.scalar(self.session, statement, statement.value, SqlType("int"))
            value = int(found) if isinstance(found, (int, float)) else 0
        yield from ()
        return Signal("return", value)

    def _try(self, statement: st.TryCatch) -> Flow:
        session = self.session
        self.tries.depth += 1
        frame = session.frame
        try:
            signal = yield from self.block(statement.body)
        except SqlError as error:
            self.tries.depth -= 1
            session.frame = frame
            return (yield from self._catch(statement, error))
        except BaseException:
            self.tries.depth -= 1
            raise
        self.tries.depth -= 1
        return signal

    def _catch(self, statement: st.TryCatch, error: SqlError) -> Flow:
        session = self.session
        line, procedure = getattr(error, "where", (statement.line, session.frame.name))
        session.last_error = error.number
        session.caught.append((error, line, procedure))
        try:
            return (yield from self.block(statement.handler))
        finally:
            if session.caught:
                session.caught.pop()

    # Single statements

    def _guarded(self, statement: st.Statement) -> Flow:
        session = self.session
        home, visited = session.home, visited_database(session, statement)
        if visited is None:
            return (yield from self._run_guarded(statement))
        rights.check_access(session, visited)
        session.enter(visited)
        try:
            return (yield from self._run_guarded(statement))
        finally:
            session.enter(home)

    def _run_guarded(self, statement: st.Statement) -> Flow:
        session = self.session
        try:
            signal = yield from self._dispatch(statement)
            session.finish_statement(failed=False)
        except SqlError as error:
            yield from self._failed(error, statement)
            return None
        except BaseException:
            session.finish_statement(failed=True)
            raise
        if not isinstance(statement, (st.Declare, st.Print, st.SetOption)):
            session.last_error = 0
        return signal

    def _failed(self, error: SqlError, statement: st.Statement) -> Generator[Event, None, None]:
        """Undo a failed statement. Inside TRY, control passes to CATCH; otherwise the error is reported, and ends the
        batch if it is batch-aborting (Microsoft Learn, "SET XACT_ABORT", and TRY...CATCH, "Uncommittable
        transactions")."""
        session = self.session
        session.finish_statement(failed=True)
        if not hasattr(error, "where"):
            error.where = (statement.line, session.frame.name)  # type: ignore[attr-defined]  # for ERROR_LINE()
        transaction = session.transaction
        rolled_back = error.number in (1205, 3960)
        ends = aborts_batch(error) or (
            session.settings.xact_abort and error.severity > 10 and not isinstance(statement, st.RaiseError)
        )
        if self.tries.depth and error.severity > 10:
            if rolled_back or (transaction is not None and (session.settings.xact_abort or dooms(error))):
                if rolled_back and transaction is not None:
                    session.abort_transaction()
                    yield TransactionChanged("rollback", transaction.id)
                elif transaction is not None:
                    transaction.doomed = True
            raise error
        yield from self.report(error, statement.line, session.frame.name)
        if error.number in _TERMINATES and isinstance(statement, (st.Insert, st.Update, st.Delete, st.Merge)):
            yield Message(3621, 0, 0, "The statement has been terminated.", session.frame.name, statement.line)
        if transaction is not None and (rolled_back or (ends and session.settings.xact_abort)):
            session.abort_transaction()
            yield TransactionChanged("rollback", transaction.id)
        yield Done(None)
        if ends or rolled_back:
            raise BatchAborted

    def _dispatch(self, statement: st.Statement) -> Flow:
        session = self.session
        if session.settings.no_execute and not isinstance(statement, st.SetOption):
            return None
        transaction = session.transaction
        if transaction is not None and transaction.doomed and _writes(statement):
            raise SqlError(
                3930,
                "The current transaction cannot be committed and cannot support operations that write to "
                "the log file. Roll back the transaction.",
            )
        if session.settings.implicit_transactions and transaction is None and _starts_transaction(statement):
            yield from session.begin_events()
        match statement:
            case st.SelectStatement(query=nodes.Query(body=nodes.Select(into=(_, *_)) as body)):
                yield from change_statements.select_into(session, statement, body)
            case st.SelectStatement():
                yield from data_statements.select(session, statement)
            case st.Insert() | st.Update() | st.Delete() | st.Merge():
                yield from change_statements.change(self, statement)
            case st.Truncate():
                yield from change_statements.truncate(session, statement)
            case st.Execute():
                yield from procedures.execute(self, statement)
            case st.Transaction():
                yield from simple_statements.transaction(session, statement)
            case _:
                handler = definitions.HANDLERS.get(type(statement)) or simple_statements.HANDLERS.get(type(statement))
                if handler is None:
                    raise unsupported(type(statement).__name__)
                yield from handler(session, statement)
                if session.transaction is not None and type(statement) in definitions.LASTING:
                    session.transaction.lasting.append(type(statement).__name__)
        return None

    # Descriptions

    def describe(self, sql: str, declarations: str) -> tuple[Column, ...]:
        return description.describe(self, sql, declarations)

    def describe_parameters(self, sql: str, declarations: str) -> list[tuple[str, SqlType]]:
        return description.describe_parameters(self, sql, declarations)


def converted(value: Stored, source: SqlType, target: SqlType) -> Stored:
    """Convert a stored value to another type; NULL stays NULL."""
    if value is None or source == target:
        return value
    change = convert(source, target)
    found: Stored = value if change is None else change(value)
    return found


def _writes(statement: st.Statement) -> bool:
    return not isinstance(
        statement,
        (
            st.SelectStatement,
            st.Transaction,
            st.Declare,
            st.SetVariable,
            st.SetOption,
            st.Print,
            st.RaiseError,
            st.Throw,
            st.Execute,
        ),
    )


def _starts_transaction(statement: st.Statement) -> bool:
    """Whether the statement starts a transaction (Microsoft Learn, "SET IMPLICIT_TRANSACTIONS")."""
    return isinstance(
        statement,
        (
            st.SelectStatement, st.Insert, st.Update, st.Delete, st.Merge, st.Truncate, st.CreateTable,
            st.AlterTable, st.Drop,
            st.Permission,
        ),
    )  # fmt: skip

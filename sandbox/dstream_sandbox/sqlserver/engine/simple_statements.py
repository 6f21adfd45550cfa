"""Control and session statements: DECLARE, SET, PRINT, RAISERROR, THROW, WAITFOR, USE, transactions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from dstream_sandbox.sqlserver.engine import clock
from dstream_sandbox.sqlserver.engine.control import Handler
from dstream_sandbox.sqlserver.engine.data_statements import scalar, scalar_typed
from dstream_sandbox.sqlserver.engine.errors import undeclared_variable
from dstream_sandbox.sqlserver.engine.message_format import format_message
from dstream_sandbox.sqlserver.engine.storage.locks import Cancelled
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.syntax import statements as st
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.dates import parse
from dstream_sandbox.sqlserver.session import Event, Message, SqlError
from dstream_sandbox.sqlserver.values import TICKS_PER_DAY, TICKS_PER_SECOND

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession

_MESSAGE = names.make_type("nvarchar", ("4000",))


def declare(session: SqlSession, statement: st.Declare) -> Iterator[Event]:
    from dstream_sandbox.sqlserver.engine.definitions import create_table_variable
    from dstream_sandbox.sqlserver.engine.session import Variable

    for declared in statement.variables:
        if declared.table is not None:
            create_table_variable(session, declared.name, declared.table)
            continue
        assert declared.type is not None
        if declared.type.name in names.LEGACY_LOBS:
            raise SqlError(2739, "The text, ntext, and image data types are invalid for local variables.")
        variable = Variable(declared.type)
        if declared.value is not None:
            variable.value = scalar(session, statement, declared.value, declared.type)
        session.frame.variables[declared.name] = variable
    yield from ()


def set_variable(session: SqlSession, statement: st.SetVariable) -> Iterator[Event]:
    variable = session.frame.variables.get(statement.name)
    if variable is None:
        raise undeclared_variable(statement.name)
    value = statement.value
    if statement.operator != "=":
        value = _compound(session, statement)
    variable.value = scalar(session, statement, value, variable.type)
    yield from ()


def _compound(session: SqlSession, statement: st.SetVariable) -> nodes.Node:
    """Return @x += v as @x + v. The node is kept, so that its plan is found again."""

    def build() -> nodes.Node:
        return nodes.Binary(statement.operator[:-1], nodes.Variable(statement.name), statement.value)

    return cast(nodes.Node, session.engine.texts.obtain(("compound", statement), build))


def set_option(session: SqlSession, statement: st.SetOption) -> Iterator[Event]:
    value = statement.value
    if value.startswith("@"):
        variable = session.frame.variables.get(value)
        if variable is None:
            raise undeclared_variable(value)
        value = str(variable.value)
    if statement.name == "TRANSACTION ISOLATION LEVEL" and session.transaction is not None:
        transaction = session.transaction
        if value == "SNAPSHOT" and transaction.isolation != "SNAPSHOT" and (transaction.dirty or transaction.commands):
            raise SqlError(
                3951,
                f"Transaction failed in database '{session.home.name}' because the statement was run "
                "under snapshot isolation but the "
                "transaction did not start in snapshot isolation.",
            )
        if transaction.snapshot_number is None:
            transaction.isolation = value
    session.settings.set(statement.name, value)
    yield from ()


def identity_insert(session: SqlSession, statement: st.SetIdentityInsert) -> Iterator[Event]:
    from dstream_sandbox.sqlserver.engine.catalog.model import Table

    found = session.find(statement.table)
    name = ".".join(statement.table)
    if not isinstance(found, Table):
        raise SqlError(
            1088, f'Cannot find the object "{name}" because it does not exist or you do not have permissions.'
        )
    if found.identity_column is None:
        raise SqlError(8106, f"Table '{name}' does not have the identity property. Cannot perform SET operation.")
    if statement.on and session.identity_insert not in (None, found.id):
        raise SqlError(
            8107, f"IDENTITY_INSERT is already ON for another table. Cannot perform SET operation for table '{name}'."
        )
    session.identity_insert = found.id if statement.on else None
    yield from ()


def print_text(session: SqlSession, statement: st.Print) -> Iterator[Event]:
    text = scalar(session, statement, statement.value, names.NVARCHAR_MAX)
    yield Message(0, 0, 1, str(text if text is not None else " "), session.frame.name, statement.line)


def raise_error(session: SqlSession, statement: st.RaiseError) -> Iterator[Event]:
    message, type_ = scalar_typed(session, statement.message)
    severity = cast(int, scalar(session, statement, statement.severity, names.INT))
    state = cast(int, scalar(session, statement, statement.state, names.INT))
    args = [scalar_typed(session, a)[0] for a in statement.args]
    if isinstance(message, int):
        raise SqlError(
            18054,
            f"Error {message}, severity {severity}, state {state} was raised, but no message with that "
            "error number was found in sys.messages.",
            severity=severity,
        )
    del type_
    text = format_message(str(message) if message is not None else "", *args) or ""
    if severity <= 10:
        yield Message(50000, severity, state, text, session.frame.name, statement.line)
        return
    raise SqlError(50000, text, severity=min(severity, 25), state=max(min(state, 255), 0))


def throw(session: SqlSession, statement: st.Throw) -> Iterator[Event]:
    yield from ()
    if statement.number is None:
        if not session.caught:
            raise SqlError(
                10704,
                "To rethrow an error, a THROW statement must be used inside a CATCH block. Insert the "
                "THROW statement inside a CATCH block, or add error parameters to the THROW statement.",
                severity=15,
            )
        caught = session.caught[-1][0]
        error = SqlError(caught.number, caught.text, severity=caught.severity, state=caught.state)
    else:
        assert statement.message is not None
        assert statement.state is not None
        number = cast(int, scalar(session, statement, statement.number, names.INT))
        text = cast(str, scalar(session, statement, statement.message, _MESSAGE))
        state = cast(int, scalar(session, statement, statement.state, names.INT))
        if number < 50000:
            raise SqlError(
                35100,
                f"Error number {number} in the THROW statement is outside the valid range. Specify an "
                "error number in the valid range of 50000 to 2147483647.",
            )
        error = SqlError(number, text, state=state)
    error.thrown = True  # type: ignore[attr-defined]  # THROW ends the batch
    raise error


def wait_for(session: SqlSession, statement: st.WaitFor) -> Iterator[Event]:
    """WAITFOR DELAY or TIME; ATTENTION interrupts it."""
    text = cast(str | None, scalar(session, statement, statement.value, _MESSAGE)) or ""
    try:
        ticks = parse(text)[1]
    except SqlError:
        raise SqlError(148, f"Incorrect time syntax in time string '{text}' used with WAITFOR.", severity=15) from None
    if statement.kind == "TIME":
        ticks = (ticks - clock.now_ticks() % TICKS_PER_DAY) % TICKS_PER_DAY
    session.status = "suspended"
    deadline = time.monotonic() + ticks / TICKS_PER_SECOND
    while (left := deadline - time.monotonic()) > 0:
        if session.runner.cancelled.wait(left):
            raise Cancelled
    session.status = "running"
    yield from ()


def use(session: SqlSession, statement: st.Use) -> Iterator[Event]:
    return session.use(statement.database)


def transaction(session: SqlSession, statement: st.Transaction) -> Iterator[Event]:
    name = statement.name
    if statement.variable is not None:
        variable = session.frame.variables.get(statement.variable)
        if variable is None:
            raise undeclared_variable(statement.variable)
        name = str(variable.value)
    match statement.action:
        case "begin":
            return session.begin_events(name)
        case "commit":
            return session.commit_events()
        case "rollback":
            return session.rollback_events(name)
    return session.save_events(name)


HANDLERS: dict[type, Handler] = {
    st.Declare: declare,
    st.SetVariable: set_variable,
    st.SetOption: set_option,
    st.SetIdentityInsert: identity_insert,
    st.Print: print_text,
    st.RaiseError: raise_error,
    st.Throw: throw,
    st.WaitFor: wait_for,
    st.Use: use,
}

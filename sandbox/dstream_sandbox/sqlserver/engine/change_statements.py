"""Statements that change rows: INSERT, UPDATE, DELETE, MERGE, TRUNCATE, SELECT INTO."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.binder.change_plans import ChangePlan, OutputPlan
from dstream_sandbox.sqlserver.engine.binder.changes import ChangeBinder
from dstream_sandbox.sqlserver.engine.binder.queries import QueryBinder
from dstream_sandbox.sqlserver.engine.catalog.model import Table
from dstream_sandbox.sqlserver.engine.changing import run_change
from dstream_sandbox.sqlserver.engine.data_statements import cached_plan, keep_plan, plan_key, read_rows
from dstream_sandbox.sqlserver.engine.errors import undeclared_variable, unsupported
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.syntax import statements as st
from dstream_sandbox.sqlserver.engine.transactions import Savepoint, Transaction, discard_after
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.session import Column, Columns, Done, Event, Message, Rows, SqlError

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.batch_runner import BatchRunner
    from dstream_sandbox.sqlserver.engine.session import SqlSession


def select_into(session: SqlSession, statement: st.SelectStatement, body: nodes.Select) -> Iterator[Event]:
    """SELECT ... INTO: create a table and insert the rows."""
    from dstream_sandbox.sqlserver.engine.definitions import create_table_like

    assert body.into is not None
    plain = replace(statement.query, body=replace(body, into=None))
    binder = QueryBinder(session)
    bound = binder.bind_query(plain)
    table = create_table_like(session, body.into, bound.columns)
    insert = ChangeBinder(session, database=session.home.name)
    names_ = tuple(c.name for c in table.columns)
    target = st.Insert(target=body.into, columns=names_)
    insert.gathered = binder.gathered
    insert.identity_insert = table.id
    plan = insert.insert(target, bound)
    yield from _run_plan(session, plan)


def change(runner: BatchRunner, statement: st.Insert | st.Update | st.Delete | st.Merge) -> Iterator[Event]:
    session = runner.session
    if isinstance(statement, st.Insert) and statement.execute is not None:
        yield from _insert_from_procedure(runner, statement)
        return
    yield from _run_plan(session, _locked_plan(session, statement))


def _locked_plan(session: SqlSession, statement: st.Insert | st.Update | st.Delete | st.Merge) -> ChangePlan:
    """Return the plan with its table locked. If ALTER TABLE ran while this waited for the lock, plan again."""
    while True:
        plan = change_plan(session, statement)
        if plan.table.storage != "main":
            return plan
        mode = "X" if plan.exclusive else "IX"
        session.lock_table(session.current_transaction(), plan.table.id, mode)
        if session.home.tables.get(plan.table.id) is plan.table:
            return plan


def change_plan(session: SqlSession, statement: st.Insert | st.Update | st.Delete | st.Merge) -> ChangePlan:
    key = plan_key(session, statement)
    found = cached_plan(session, key)
    if isinstance(found, ChangePlan):
        return found
    binder = ChangeBinder(session, database=session.home.name, identity_insert=session.identity_insert)
    match statement:
        case st.Insert():
            plan = binder.insert(statement)
        case st.Update():
            plan = binder.update(statement)
        case st.Delete():
            plan = binder.delete(statement)
        case st.Merge():
            plan = binder.merge(statement)
    keep_plan(session, key, plan)
    return plan


def _run_plan(session: SqlSession, plan: ChangePlan) -> Iterator[Event]:
    mark = session.home.log.take()
    try:
        yield from _run_steps(session, plan)
    except SqlError:
        undo_steps(session, plan.table, mark)
        raise


def undo_steps(session: SqlSession, table: Table, mark: int) -> None:
    """Undo the earlier steps of a multi-step statement that failed inside a transaction."""
    transaction = session.transaction
    if transaction is not None and table.id in transaction.dirty and transaction.dirty[table.id].latest > mark:
        discard_after(transaction, Savepoint("", mark, len(transaction.undo)), session.connection)


def _run_steps(session: SqlSession, plan: ChangePlan) -> Iterator[Event]:
    gathered = plan.gathered
    if session.settings.metadata_only:
        yield Done(0)
        return
    if session.settings.row_limit:
        raise unsupported("SET ROWCOUNT for statements that change rows")
    transaction = session.current_transaction()
    for table_id, mode in gathered.locks:
        session.lock_table(transaction, table_id, mode.upper())
    if gathered.views:
        session.refresh_views(gathered.views.values())
    count, base = run_change(session, plan, session.bindings(gathered.variables, gathered.session_values))
    if plan.output is not None:
        yield from _output(session, plan.output, transaction, base)
    for name, sql in plan.variables:
        _assign_from_log(session, transaction, plan, name, sql, base)
    session.row_count = count
    if not (plan.output is not None and plan.output.into is None):
        yield Done(None if session.settings.nocount else count)
    else:
        yield Done(None if session.settings.nocount else count, is_select=True)


def _output(session: SqlSession, output: OutputPlan, transaction: Transaction, base: int) -> Iterator[Event]:
    if output.into is not None:
        bindings = session.bindings(output.into.gathered.variables, output.into.gathered.session_values)
        into = replace(output.into, fills=tuple(sql.replace(":base", f"{base}") for sql in output.into.fills))
        run_change(session, into, bindings)
        return
    columns = tuple(Column(c.name, c.type or names.INT, c.nullable) for c in output.columns)
    yield Columns(columns)
    gathered = session.change_output_bindings(output)
    cursor = session.run_sql(session.fill_marks(output.sql, transaction), {**gathered, "base": base})
    try:
        yield from read_rows(session, cursor, [c.type for c in columns])
    finally:
        cursor.close()


def _assign_from_log(
    session: SqlSession, transaction: Transaction, plan: ChangePlan, name: str, sql: str, base: int
) -> None:
    from dstream_sandbox.sqlserver.engine.batch_runner import converted

    overlay = transaction.dirty[plan.table.id]
    row = session.run_sql(f"SELECT {sql} FROM {overlay.log} WHERE n>=? ORDER BY n DESC LIMIT 1", (base,)).fetchone()
    variable = session.frame.variables.get(name)
    if variable is None:
        raise undeclared_variable(name)
    if row is not None:
        source = plan.table.column_by_id(int(sql[1:])).type
        variable.value = converted(row[0], source, variable.type)


def _insert_from_procedure(runner: BatchRunner, statement: st.Insert) -> Iterator[Event]:
    """INSERT ... EXEC: insert the rows of the procedure's result sets."""
    from dstream_sandbox.sqlserver.engine import procedures
    from dstream_sandbox.sqlserver.engine.bulk_load import insert_rows

    session = runner.session
    assert statement.execute is not None
    types: tuple[Column, ...] = ()
    total = 0
    target = session.find(statement.target)
    mark = session.home.log.take()
    try:
        for event in procedures.execute(runner, statement.execute):
            if isinstance(event, Columns):
                types = event.columns
            elif isinstance(event, Rows):
                total += insert_rows(session, statement.target, statement.columns, [c.type for c in types], event.rows)
            elif isinstance(event, Message):
                yield event
    except SqlError:
        if isinstance(target, Table):
            undo_steps(session, target, mark)
        raise
    session.row_count = total
    yield Done(None if session.settings.nocount else total)


def truncate(session: SqlSession, statement: st.Truncate) -> Iterator[Event]:
    """Delete all rows and reset the identity. Refused on a table under CDC (error 4711)."""
    binder = ChangeBinder(session, database=session.home.name)
    table = binder.target(statement.target, "DELETE")
    name = f"{table.name}"
    if session.home.capture.of_source(table.id):
        raise SqlError(
            4711,
            f"Cannot truncate table '{name}' because it is published for replication or enabled for "
            "Change Data Capture.",
        )
    if any(k.table_id == table.id for t in session.tables() for k in t.foreign_keys if t.id != table.id):
        raise SqlError(
            4712, f"Cannot truncate table '{name}' because it is being referenced by a FOREIGN KEY constraint."
        )
    plan = ChangeBinder(session, database=session.home.name).delete(st.Delete(target=statement.target))
    run_change(session, replace(plan, exclusive=True), {})
    column = table.identity_column
    if column is not None and column.identity is not None:
        session.home.identities[table.id] = column.identity[0]
    yield Done(None)

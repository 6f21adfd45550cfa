"""Plans, SELECT, conditions and scalar expressions: compile once, run, yield events."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.binder.casts import fit_variable_sql
from dstream_sandbox.sqlserver.engine.binder.change_plans import ChangePlan
from dstream_sandbox.sqlserver.engine.binder.expression import Ex, Gathered, quote
from dstream_sandbox.sqlserver.engine.binder.queries import QueryBinder
from dstream_sandbox.sqlserver.engine.errors import undeclared_variable
from dstream_sandbox.sqlserver.engine.plans import CachedPlan, QueryPlan
from dstream_sandbox.sqlserver.engine.storage.locks import Cancelled
from dstream_sandbox.sqlserver.engine.storage.text_joins import prepare_for_texts
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.syntax import statements as st
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.storage import Stored, row_decoder
from dstream_sandbox.sqlserver.session import Column, Columns, Done, Event, Rows, SqlError
from dstream_sandbox.sqlserver.values import SqlType

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession

_BATCH_ROWS = 1000


# Plans


def plan_key(session: SqlSession, node: object, kind: str = "") -> tuple[object, ...]:
    settings = (session.read_lock(), session.identity_insert)
    return (
        node,
        kind,
        session.home.name,
        session.home.version,
        session.temp_version and (session.spid, session.temp_version),
        session.login,
        settings,
    )


def cached_plan(session: SqlSession, key: tuple[object, ...]) -> QueryPlan | ChangePlan | None:
    found = session.engine.plans.get(key)
    if found is None:
        return None
    for name, type_ in found.variables:
        if session.variable_type(name) != type_:
            return None
    return found.plan


def keep_plan(session: SqlSession, key: tuple[object, ...], plan: QueryPlan | ChangePlan) -> None:
    variables = []
    for name in plan.gathered.variables:
        type_ = session.variable_type(name)
        if type_ is None:
            raise undeclared_variable(name)
        variables.append((name, type_))
    session.engine.plans.put(key, CachedPlan(plan, tuple(variables)))


def query_plan(session: SqlSession, query: nodes.Query) -> QueryPlan:
    key = plan_key(session, query)
    found = cached_plan(session, key)
    if isinstance(found, QueryPlan):
        return found
    binder = QueryBinder(session)
    assigned = _assigned_variables(query)
    if assigned:
        plan = _assignment_plan(session, binder, query)
    else:
        bound = binder.bind_query(query)
        plan = QueryPlan(bound.sql, bound.columns, binder.gathered)
    keep_plan(session, key, plan)
    return plan


def _assigned_variables(query: nodes.Query) -> bool:
    body = query.body
    if not isinstance(body, nodes.Select):
        return False
    assigns = [item.variable is not None for item in body.items]
    if any(assigns) and not all(assigns):
        raise SqlError(
            141,
            "A SELECT statement that assigns a value to a variable must not be combined with "
            "data-retrieval operations.",
            severity=15,
        )
    return any(assigns)


def _assignment_plan(session: SqlSession, binder: QueryBinder, query: nodes.Query) -> QueryPlan:
    """SELECT @x = ...: the query's rows set the variables one after another."""
    body = query.body
    assert isinstance(body, nodes.Select)
    targets = [item.variable or "" for item in body.items]
    for name in targets:
        if session.variable_type(name) is None:
            raise undeclared_variable(name)
    items = tuple(_plain_item(item) for item in body.items)
    reads_itself = any(_reads(item.expression, set(targets)) for item in items)
    plain = replace(query, body=replace(body, items=items))
    bound = binder.bind_query(plain)
    parts = []
    for i, (name, column) in enumerate(zip(targets, bound.columns, strict=True)):
        type_ = session.variable_type(name)
        assert type_ is not None
        value = fit_variable_sql(Ex(f"k{i}", column.type), type_)
        parts.append(value)
    if not reads_itself:
        sql = f"SELECT {', '.join(parts)} FROM ({bound.sql})"
        return QueryPlan(sql, bound.columns, binder.gathered, tuple(targets))
    return _running_plan(session, binder, bound.sql, targets, bound.columns)


def _running_plan(
    session: SqlSession, binder: QueryBinder, sql: str, targets: list[str], columns: tuple[Ex, ...]
) -> QueryPlan:
    """`SELECT @s = @s + x FROM t`: each row sees the value that the previous row set."""
    variables = dict(binder.gathered.variables)
    for name in targets:
        parameter = variables.pop(name, None)
        if parameter is not None:
            sql = _replace_parameter(sql, parameter, f"getv({quote(name)})")
    sets = []
    for i, (name, column) in enumerate(zip(targets, columns, strict=True)):
        type_ = session.variable_type(name)
        assert type_ is not None
        sets.append((name, fit_variable_sql(Ex(f"k{i}", column.type), type_)))
    values = ", ".join(f"setv({quote(name)}, {value})" for name, value in sets)
    gathered = replace_variables(binder.gathered, variables)
    return QueryPlan(f"SELECT {values} FROM ({sql})", columns, gathered, ("",))


def _replace_parameter(sql: str, parameter: str, by: str) -> str:
    import re

    return re.sub(rf":{parameter}\b", lambda _: by, sql)


def replace_variables(gathered: Gathered, variables: dict[str, str]) -> Gathered:
    return replace(gathered, variables=variables)


def _plain_item(item: nodes.SelectItem) -> nodes.SelectItem:
    value = item.expression
    if item.operator != "=":
        value = nodes.Binary(item.operator[:-1], nodes.Variable(item.variable or ""), value)
    return nodes.SelectItem(value)


def _reads(node: object, variables: set[str]) -> bool:
    if isinstance(node, nodes.Variable):
        return node.name in variables
    if isinstance(node, tuple):
        return any(_reads(item, variables) for item in node)
    slots = getattr(type(node), "__dataclass_fields__", None)
    return slots is not None and any(_reads(getattr(node, name), variables) for name in slots)


# Queries


def open_query(session: SqlSession, plan: QueryPlan) -> sqlite3.Cursor:
    """Start reading, with the locks that hints request and the isolation level's snapshot in force."""
    gathered = plan.gathered
    transaction = session.reading_transaction
    if gathered.locks:
        transaction = session.current_transaction()
        for table_id, mode in gathered.locks:
            session.lock_table(transaction, table_id, mode.upper())
    if transaction is not None and transaction.explicit and transaction.isolation == "SNAPSHOT" and gathered.tables:
        session.pin_snapshot(transaction)
    if gathered.views:
        session.refresh_views(gathered.views.values())
    sql = session.fill_marks(plan.sql, transaction)
    prepare_for_texts(session.connection, gathered.compares_text)
    return session.run_sql(sql, session.bindings(gathered.variables, gathered.session_values))


def release_statement_locks(session: SqlSession, plan: QueryPlan) -> None:
    """Release the locks that end with the statement: those of TABLOCK without HOLDLOCK."""
    transaction = session.reading_transaction
    for table_id, mode in plan.gathered.locks:
        if mode == "s" and transaction is not None:
            session.engine.locks.release(transaction, ("table", table_id), "S")


def columns_of(plan: QueryPlan) -> tuple[Column, ...]:
    return tuple(Column(c.name, c.type or names.INT, c.nullable, c.identity, c.computed) for c in plan.columns)


def select(session: SqlSession, statement: st.SelectStatement) -> Iterator[Event]:
    plan = query_plan(session, statement.query)
    if plan.assigns:
        _assign(session, plan)
        return
    yield Columns(columns_of(plan))
    if session.settings.metadata_only:
        yield Done(0, is_select=True)
        return
    cursor = open_query(session, plan)
    count = 0
    try:
        for rows in read_rows(session, cursor, [c.type or names.INT for c in plan.columns], session.settings.row_limit):
            count += len(rows.rows)
            yield rows
    finally:
        cursor.close()
        release_statement_locks(session, plan)
    session.row_count = count
    yield Done(None if session.settings.nocount else count, is_select=True)


def read_rows(session: SqlSession, cursor: sqlite3.Cursor, types: list[SqlType], limit: int = 0) -> Iterator[Rows]:
    """Yield the rest of a cursor in batches. The first rows come early; later batches are full."""
    decode = row_decoder(types)
    size, seen = 50, 0
    while True:
        if session.runner.cancelled.is_set():
            raise Cancelled
        try:
            rows = cursor.fetchmany(size if not limit else min(size, limit - seen))
        except sqlite3.Error as error:
            raise session.translated(error) from error
        if not rows:
            return
        seen += len(rows)
        yield Rows(rows if decode is None else decode(rows))
        if limit and seen >= limit:
            return
        size = _BATCH_ROWS


def _assign(session: SqlSession, plan: QueryPlan) -> None:
    cursor = open_query(session, plan)
    last: tuple[Stored, ...] | None = None
    count = 0
    try:
        for row in cursor:
            last = row
            count += 1
    except sqlite3.Error as error:
        raise session.translated(error) from error
    finally:
        cursor.close()
        release_statement_locks(session, plan)
    session.row_count = count
    if last is not None and plan.assigns != ("",):
        for name, value in zip(plan.assigns, last, strict=True):
            session.frame.variables[name].value = value


def truth(session: SqlSession, statement: object, condition: nodes.Node) -> bool:
    """Whether the condition of an IF or WHILE is true; UNKNOWN is not."""
    key = plan_key(session, condition, "condition")
    plan = cached_plan(session, key)
    if not isinstance(plan, QueryPlan):
        binder = QueryBinder(session)
        plan = QueryPlan(f"SELECT {binder.predicate(condition)}", (), binder.gathered)
        keep_plan(session, key, plan)
    return bool(_single(session, plan))


def scalar(session: SqlSession, statement: object, node: nodes.Node, type_: SqlType | None = None) -> Stored:
    """Evaluate an expression outside a query, converted to `type_` as if assigned to a variable of that type."""
    return scalar_typed(session, node, type_)[0]


def scalar_typed(session: SqlSession, node: nodes.Node, type_: SqlType | None = None) -> tuple[Stored, SqlType | None]:
    key = plan_key(session, node, f"scalar {type_}")
    plan = cached_plan(session, key)
    if not isinstance(plan, QueryPlan):
        binder = QueryBinder(session)
        ex = binder.value(node)
        sql = ex.sql if type_ is None else fit_variable_sql(ex, type_)
        plan = QueryPlan(f"SELECT {sql}", (Ex(sql, type_ or ex.type),), binder.gathered)
        keep_plan(session, key, plan)
    return _single(session, plan), plan.columns[0].type


def _single(session: SqlSession, plan: QueryPlan) -> Stored:
    cursor = open_query(session, plan)
    try:
        row = cursor.fetchone()
    except sqlite3.Error as error:
        raise session.translated(error) from error
    finally:
        cursor.close()
        release_statement_locks(session, plan)
    found: Stored = row[0] if row is not None else None
    return found

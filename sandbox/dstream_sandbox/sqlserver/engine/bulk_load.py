"""Inserts rows that do not come from a query: bulk load and INSERT ... EXEC."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.binder.changes import ChangeBinder
from dstream_sandbox.sqlserver.engine.binder.expression import Ex
from dstream_sandbox.sqlserver.engine.binder.queries import BoundQuery
from dstream_sandbox.sqlserver.engine.catalog.model import Column, Table
from dstream_sandbox.sqlserver.engine.catalog.naming import split_name
from dstream_sandbox.sqlserver.engine.changing import run_change
from dstream_sandbox.sqlserver.engine.errors import invalid_column, invalid_object
from dstream_sandbox.sqlserver.engine.syntax import statements as st
from dstream_sandbox.sqlserver.engine.types.storage import encoder
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import Row, SqlType

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession

_CHUNK = 5000


def bulk_insert(
    session: SqlSession, table: str, columns: Sequence[str], rows: Iterator[Row], types: Sequence[SqlType] = ()
) -> int:
    """INSERT BULK: insert rows of the given types, or else of the table's own; all or none. An identity column among
    `columns` keeps the given values."""
    target = split_name(table)
    found = session.find(target)
    if not isinstance(found, Table):
        raise invalid_object(table)
    wanted: list[Column] = []
    for name in columns:
        column = found.column(name)
        if column is None:
            raise invalid_column(name)
        wanted.append(column)
    kept, session.identity_insert = session.identity_insert, None
    if any(c.identity is not None for c in wanted):
        session.identity_insert = found.id
    try:
        count = insert_rows(session, target, tuple(columns), types or [c.type for c in wanted], rows)
    except BaseException:
        session.finish_statement(failed=True)
        raise
    finally:
        session.identity_insert = kept
    session.finish_statement(failed=False)
    return count


def insert_rows(
    session: SqlSession,
    target: tuple[str, ...],
    columns: tuple[str, ...] | None,
    types: Sequence[SqlType],
    rows: Iterable[Row],
) -> int:
    """Insert rows of the given types into a table, through a TEMP table, as one statement."""
    encoders = [encoder(t) for t in types]
    names_ = ",".join(f"k{i}" for i in range(len(types)))
    marks = ",".join("?" for _ in types)
    session.connection.execute(f"CREATE TABLE IF NOT EXISTS temp.load{len(types)} ({names_})")
    session.connection.execute(f"DELETE FROM temp.load{len(types)}")
    source = iter(rows)
    session.connection.execute("SAVEPOINT load")
    try:
        while chunk := list(islice(source, _CHUNK)):
            stored = [
                tuple(v if v is None or e is None else e(v) for v, e in zip(row, encoders, strict=True))
                for row in chunk
            ]
            session.connection.executemany(f"INSERT INTO temp.load{len(types)} VALUES ({marks})", stored)
    except OverflowError:
        raise SqlError(4815, "Received an invalid column value from a bcp client.") from None
    finally:
        session.connection.execute("RELEASE load")
    bound = BoundQuery(
        f"SELECT {names_} FROM temp.load{len(types)}", tuple(Ex(f"k{i}", t) for i, t in enumerate(types))
    )
    binder = ChangeBinder(session, database=session.home.name, identity_insert=session.identity_insert)
    plan = binder.insert(st.Insert(target=target, columns=columns), bound)
    count, _ = run_change(session, plan, session.bindings(plan.gathered.variables, plan.gathered.session_values))
    session.connection.execute(f"DELETE FROM temp.load{len(types)}")
    return count

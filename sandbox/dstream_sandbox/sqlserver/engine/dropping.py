"""DROP, and the lock under which definitions change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.catalog import rights
from dstream_sandbox.sqlserver.engine.catalog.model import (
    Index,
    Procedure,
    Table,
    View,
)
from dstream_sandbox.sqlserver.engine.cdc.schema_changes import drop_tracked
from dstream_sandbox.sqlserver.engine.errors import unsupported
from dstream_sandbox.sqlserver.engine.storage import table_files
from dstream_sandbox.sqlserver.engine.syntax import statements as st
from dstream_sandbox.sqlserver.engine.table_building import now
from dstream_sandbox.sqlserver.session import Event, SqlError

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession


def cannot_drop(kind: str, name: str) -> SqlError:
    return SqlError(
        3701,
        f"Cannot drop the {kind} '{name}', because it does not exist or you do not have permission.",
        severity=11,
        state=5,
    )


def drop(session: SqlSession, statement: st.Drop) -> Iterator[Event]:
    handlers: dict[str, Callable[[SqlSession, tuple[str, ...], bool], None]] = {
        "TABLE": _drop_table,
        "VIEW": _drop_view,
        "PROCEDURE": _drop_procedure,
        "SCHEMA": _drop_schema,
        "DATABASE": _drop_database,
    }
    if statement.kind == "INDEX":
        _drop_index(session, statement)
        yield from ()
        return
    if statement.kind in ("USER", "ROLE", "LOGIN"):
        from dstream_sandbox.sqlserver.engine.catalog import principals

        for name in statement.names:
            principals.drop(session, statement.kind, name[-1], statement.if_exists)
        yield from ()
        return
    for name in statement.names:
        handlers[statement.kind](session, name, statement.if_exists)
    yield from ()


def _drop_table(session: SqlSession, name: tuple[str, ...], if_exists: bool) -> None:
    found = session.find(name)
    if not isinstance(found, Table):
        if if_exists:
            return
        raise cannot_drop("table", ".".join(name))
    if found.storage == "temp":
        session.drop_own_table(session.temp_tables.pop(name[-1].lower()))
        return
    if found.system:
        raise cannot_drop("table", ".".join(name))
    rights.require_ddl(session, "ALTER")
    for other in session.tables():
        if other.id != found.id and any(k.table_id == found.id for k in other.foreign_keys):
            raise SqlError(
                3726, f"Could not drop object '{'.'.join(name)}' because it is referenced by a FOREIGN KEY constraint."
            )
    exclusive(session, found)
    transaction = session.transaction
    if transaction is not None:
        transaction.dirty.pop(found.id, None)
    with session.home.writing() as connection:
        drop_tracked(session.home, connection, found)
        session.home.drop(connection, found)


def exclusive(session: SqlSession, table: Table) -> None:
    """Lock the table until the transaction ends, so that no other session has uncommitted changes in it."""
    session.lock_table(session.current_transaction(), table.id, "X")


def _drop_view(session: SqlSession, name: tuple[str, ...], if_exists: bool) -> None:
    found = session.find(name)
    if not isinstance(found, View):
        if if_exists:
            return
        raise cannot_drop("view", ".".join(name))
    with session.home.writing() as connection:
        session.home.drop(connection, found)


def _drop_procedure(session: SqlSession, name: tuple[str, ...], if_exists: bool) -> None:
    found = session.home.find((name[-2] if len(name) > 1 else "") or "dbo", name[-1])
    if not isinstance(found, Procedure):
        if if_exists:
            return
        raise cannot_drop("procedure", ".".join(name))
    with session.home.writing() as connection:
        session.home.drop(connection, found)


def _drop_schema(session: SqlSession, name: tuple[str, ...], if_exists: bool) -> None:
    found = next((s for s in session.home.schemas if s.lower() == name[-1].lower()), None)
    if found is None or session.home.schemas[found] <= 4:
        if if_exists:
            return
        raise SqlError(
            15151, f"Cannot drop the schema '{name[-1]}', because it does not exist or you do not have permission."
        )
    database = session.home
    owned: list[Table | View | Procedure] = [*database.tables.values(), *database.views.values()]
    owned += database.procedures.values()
    for entry in owned:
        if entry.schema == found:
            raise SqlError(
                3729, f"Cannot drop schema '{found}' because it is being referenced by object '{entry.name}'."
            )
    with session.home.writing() as connection:
        session.home.drop_schema(connection, found)


def _drop_database(session: SqlSession, name: tuple[str, ...], if_exists: bool) -> None:
    rights.require_sysadmin(session, "DROP DATABASE")
    if session.engine.database(name[-1]) is None:
        if if_exists:
            return
        raise cannot_drop("database", name[-1])
    session.engine.drop_database(session, name[-1])


def settle(session: SqlSession, table: Table) -> None:
    """Refuse to change a definition if this transaction has uncommitted changes in the table."""
    transaction = session.transaction
    if transaction is not None and table.id in transaction.dirty:
        raise unsupported("changing a table's definition after changing its rows in the same transaction")


def _drop_index(session: SqlSession, statement: st.Drop) -> None:
    name = statement.names[0]
    table_name = statement.table or name[:-1]
    found = session.find(table_name)
    index = (
        next((i for i in found.indexes if i.name.lower() == name[-1].lower()), None)
        if isinstance(found, Table)
        else None
    )
    if not isinstance(found, Table) or index is None:
        if statement.if_exists:
            return
        raise cannot_drop("index", f"{'.'.join(table_name)}.{name[-1]}")
    if index.constraint:
        raise SqlError(
            3723,
            f"An explicit DROP INDEX is not allowed on index '{found.name}.{index.name}'. It is being "
            "used for constraint enforcement.",
        )
    remove_index(session, found, index)


def remove_index(session: SqlSession, table: Table, index: Index) -> None:
    if table.storage == "temp":
        session.connection.execute(table_files.drop_index(table, index))
        table.indexes.remove(index)
        session.temp_version += 1
        return
    exclusive(session, table)
    settle(session, table)
    changed = replace(
        table, indexes=[i for i in table.indexes if i is not index], shape=table.shape + 1, modified=now()
    )
    with session.home.writing() as connection:
        connection.execute(table_files.drop_index(table, index))
        session.home.store(connection, changed)

"""CREATE and ALTER DATABASE; BACKUP and RESTORE DATABASE.

A restore to the same server and database name keeps change data capture enabled (Microsoft Learn, "Restoring or
attaching a database enabled for change data capture"), so the reader meets an older log: RESTORE here requires that
name, and the options of WITH have no effect."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.catalog import rights
from dstream_sandbox.sqlserver.engine.control import Handler
from dstream_sandbox.sqlserver.engine.errors import unsupported
from dstream_sandbox.sqlserver.engine.syntax import statements as st
from dstream_sandbox.sqlserver.session import Event, SqlError

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession


def create_database(session: SqlSession, statement: st.CreateDatabase) -> Iterator[Event]:
    rights.require_sysadmin(session, "CREATE DATABASE")
    if session.engine.database(statement.name) is not None:
        raise SqlError(1801, f"Database '{statement.name}' already exists. Choose a different database name.")
    session.engine.create_database(statement.name)
    yield from ()


def alter_database(session: SqlSession, statement: st.AlterDatabase) -> Iterator[Event]:
    database = session.home if statement.name is None else session.engine.database(statement.name)
    if database is None:
        raise SqlError(
            5011,
            f"User does not have permission to alter database '{statement.name}', the database does not "
            "exist, or the database is not in a state that allows access checks.",
        )
    on = statement.value == "ON"
    options = database.options
    match statement.option:
        case "ALLOW_SNAPSHOT_ISOLATION":
            options.allow_snapshot_isolation = on
        case "READ_COMMITTED_SNAPSHOT":
            options.read_committed_snapshot = on
        case "NEW_BROKER":
            options.service_broker_guid = str(uuid.uuid4()).upper()
        case "READ_ONLY" | "READ_WRITE":
            options.read_only = statement.option == "READ_ONLY"
        case "RECOVERY":
            options.recovery_model = statement.value
        case "COMPATIBILITY_LEVEL":
            options.compatibility_level = int(statement.value)
        case (
            "MULTI_USER"
            | "AUTO_CLOSE"
            | "AUTO_SHRINK"
            | "PAGE_VERIFY"
            | "QUERY_STORE"
            | "ENABLE_BROKER"
            | "TRUSTWORTHY"
        ):
            pass
        case _:
            raise unsupported(f"ALTER DATABASE SET {statement.option}")
    with database.writing() as connection:
        database.store_options(connection)
    yield from ()


def backup(session: SqlSession, statement: st.BackupDatabase) -> Iterator[Event]:
    rights.require_sysadmin(session, "BACKUP DATABASE")
    _require(session, statement.name)
    session.engine.backup_database(statement.name, statement.device)
    yield from ()


def restore(session: SqlSession, statement: st.RestoreDatabase) -> Iterator[Event]:
    rights.require_sysadmin(session, "RESTORE DATABASE")
    _require(session, statement.name)
    session.engine.restore_database(statement.name, statement.device)
    yield from ()


def _require(session: SqlSession, name: str) -> None:
    if session.engine.database(name) is None:
        raise SqlError(911, f"Database '{name}' does not exist. Make sure that the name is entered correctly.")


HANDLERS: dict[type, Handler] = {
    st.CreateDatabase: create_database,
    st.AlterDatabase: alter_database,
    st.BackupDatabase: backup,
    st.RestoreDatabase: restore,
}

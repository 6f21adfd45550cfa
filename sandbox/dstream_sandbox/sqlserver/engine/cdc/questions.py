"""Answers of CDC's scalar functions, read from the tables of schema cdc in the statement's own snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.catalog import rights
from dstream_sandbox.sqlserver.engine.cdc import lsn
from dstream_sandbox.sqlserver.engine.cdc.instances import system_table
from dstream_sandbox.sqlserver.engine.types.storage import Stored
from dstream_sandbox.sqlserver.session import SqlError

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession

_TIME_OPERATORS = {
    "largest less than": ("max", "<"),
    "largest less than or equal": ("max", "<="),
    "smallest greater than": ("min", ">"),
    "smallest greater than or equal": ("min", ">="),
}


def min_lsn(session: SqlSession, name: str | None) -> bytes | None:
    """Return an instance's start_lsn; 0x00 if it is unknown or the caller lacks permission (Microsoft Learn,
    "sys.fn_cdc_get_min_lsn")."""
    instance = session.home.capture.named(name) if name else None
    if instance is None or not rights.may_read_capture(session, instance):
        return lsn.ZERO
    table = system_table(session.home, "change_tables")
    row = session.connection.execute(f"SELECT c5 FROM {table.stored_name} WHERE c1=?", (instance.table.id,)).fetchone()
    return row[0] if row is not None else lsn.ZERO


def _mapping(session: SqlSession) -> str:
    table = system_table(session.home, "lsn_time_mapping")
    return f"{table.stored_name} WHERE {table.filter}" if table.filter else f"{table.stored_name} WHERE 1"


def max_lsn(session: SqlSession) -> bytes | None:
    """Return the last start_lsn of the time mapping; NULL if there is none."""
    if not session.home.options.cdc_enabled:
        return None
    row = session.connection.execute(f"SELECT max(c1) FROM {_mapping(session)}").fetchone()
    found: bytes | None = row[0]
    return found


def lsn_to_time(session: SqlSession, value: bytes | None) -> Stored:
    if value is None or not session.home.options.cdc_enabled:
        return None
    row = session.connection.execute(f"SELECT c3 FROM {_mapping(session)} AND c1=?", (value,)).fetchone()
    return row[0] if row is not None else None


def time_to_lsn(session: SqlSession, operator: str | None, when: int | None) -> Stored:
    found = _TIME_OPERATORS.get((operator or "").lower().strip())
    if found is None:
        raise SqlError(22905, f"The relational operator '{operator}' is not valid for fn_cdc_map_time_to_lsn.")
    if when is None or not session.home.options.cdc_enabled:
        return None
    function, comparison = found
    row = session.connection.execute(
        f"SELECT {function}(c1) FROM {_mapping(session)} AND c3{comparison}?", (when,)
    ).fetchone()
    return row[0] if row is not None else None


def column_ordinal(session: SqlSession, name: str | None, column: str | None) -> int | None:
    instance = session.home.capture.named(name) if name else None
    if instance is None or column is None:
        return None
    return next((c.ordinal for c in instance.columns if c.name.lower() == column.lower()), None)

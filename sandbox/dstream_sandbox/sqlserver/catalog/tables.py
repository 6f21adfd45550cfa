"""sp_tables: SQLTables and getTables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dstream_sandbox.sqlserver.catalog.objects import find_objects, require_current_database
from dstream_sandbox.sqlserver.catalog.results import (
    SYSNAME,
    CatalogSession,
    arguments,
    columns,
    number,
    query,
    result,
    text,
)
from dstream_sandbox.sqlserver.session import Event, Param
from dstream_sandbox.sqlserver.values import Row, SqlType

_HEAD = columns(
    ("TABLE_QUALIFIER", SYSNAME),
    ("TABLE_OWNER", SYSNAME),
    ("TABLE_NAME", SYSNAME),
    ("TABLE_TYPE", SqlType("varchar", 32)),
    ("REMARKS", SqlType("varchar", 254)),
)
_TYPES = {"U": "TABLE", "V": "VIEW", "S": "SYSTEM TABLE"}
_PARAMETERS = ("@table_name", "@table_owner", "@table_qualifier", "@table_type", "@fusepattern")


def sp_tables(session: CatalogSession, params: Sequence[Param]) -> Iterator[Event]:
    """List tables and views, or, with % and empty strings, databases, schemas or table types (ODBC, SQLTables)."""
    values = arguments(params, _PARAMETERS)
    name, owner, qualifier = (text(values, key) for key in _PARAMETERS[:3])
    table_type = text(values, "@table_type")
    if (name, owner, qualifier) == ("", "", "%"):
        yield from result(_HEAD, _databases(session))
    elif (name, owner, qualifier) == ("", "%", ""):
        yield from result(_HEAD, _schemas(session))
    elif (name, owner, qualifier, table_type) == ("", "", "", "%"):
        yield from result(_HEAD, [(None, None, None, kind, None) for kind in sorted(_TYPES.values())])
    else:
        require_current_database(session, None if qualifier == "%" else qualifier)
        is_pattern = number(values, "@fusepattern", 1) != 0
        yield from result(_HEAD, _tables(session, name, owner, _wanted(table_type), is_pattern=is_pattern))


def _wanted(table_type: str | None) -> frozenset[str]:
    if not table_type or table_type == "%":
        return frozenset(_TYPES)
    asked = {part.strip().strip("'").upper() for part in table_type.split(",")}
    return frozenset(kind for kind, name in _TYPES.items() if name in asked)


def _tables(
    session: CatalogSession, name: str | None, owner: str | None, kinds: frozenset[str], *, is_pattern: bool
) -> list[Row]:
    found = find_objects(session, kinds, name, owner, is_pattern=is_pattern)
    rows = [(session.database, item.schema, item.name, _TYPES[item.kind], None) for item in found]
    return sorted(rows, key=lambda row: (row[3], row[1], row[2]))


def _databases(session: CatalogSession) -> list[Row]:
    return [(row[0], None, None, None, None) for row in query(session, "SELECT name FROM sys.databases ORDER BY name")]


def _schemas(session: CatalogSession) -> list[Row]:
    return [(None, row[0], None, None, None) for row in query(session, "SELECT name FROM sys.schemas ORDER BY name")]

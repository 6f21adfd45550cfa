"""Tables, columns, indexes and procedures, read from the session's sys views."""

from __future__ import annotations

from dataclasses import dataclass

from dstream_sandbox.sqlserver.catalog.results import CatalogSession, matches, query
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import Value


@dataclass(frozen=True, slots=True)
class CatalogObject:
    """A row of sys.objects with its schema name."""

    object_id: int
    schema: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class CatalogColumn:
    """A row of sys.columns or sys.parameters with its type name; sizes are in bytes, -1 for (max)."""

    object_id: int
    column_id: int
    name: str
    type_name: str
    max_length: int
    precision: int
    scale: int
    is_nullable: bool = True
    is_identity: bool = False
    is_computed: bool = False
    is_output: bool = False
    default: str | None = None


@dataclass(frozen=True, slots=True)
class CatalogIndex:
    """A row of sys.indexes with its key columns in order, and whether each is descending."""

    object_id: int
    name: str
    is_clustered: bool
    is_unique: bool
    is_primary_key: bool
    keys: tuple[tuple[str, bool], ...]


def find_objects(
    session: CatalogSession,
    kinds: frozenset[str],
    name: str | None,
    schema: str | None,
    *,
    is_pattern: bool = True,
) -> list[CatalogObject]:
    """Return the objects of these kinds (U, V, P, ...) whose name and schema match, ordered by schema and name."""
    rows = query(
        session,
        "SELECT o.object_id, s.name, o.name, o.type FROM sys.objects AS o "
        "INNER JOIN sys.schemas AS s ON s.schema_id = o.schema_id",
    )
    found = [CatalogObject(_int(row[0]), str(row[1]), str(row[2]), str(row[3]).strip()) for row in rows]
    return sorted(
        (
            item
            for item in found
            if item.kind in kinds
            and matches(item.name, name, is_pattern=is_pattern)
            and matches(item.schema, schema, is_pattern=is_pattern)
        ),
        key=lambda item: (item.schema, item.name),
    )


def columns_of(session: CatalogSession, item: CatalogObject) -> list[CatalogColumn]:
    """Return the columns of a table or view in order."""
    definitions = query(
        session,
        f"SELECT parent_column_id, definition FROM sys.default_constraints WHERE parent_object_id = {item.object_id}",
    )
    defaults = {row[0]: str(row[1]) for row in definitions}
    rows = query(
        session,
        "SELECT c.column_id, c.name, t.name, c.max_length, c.precision, c.scale, c.is_nullable, c.is_identity, "
        "c.is_computed FROM sys.columns AS c INNER JOIN sys.types AS t ON t.user_type_id = c.user_type_id "
        f"WHERE c.object_id = {item.object_id} ORDER BY c.column_id",
    )
    return [
        CatalogColumn(
            item.object_id,
            _int(row[0]),
            str(row[1]),
            str(row[2]),
            _int(row[3]),
            _int(row[4]),
            _int(row[5]),
            bool(row[6]),
            bool(row[7]),
            bool(row[8]),
            default=defaults.get(row[0]),
        )
        for row in rows
    ]


def parameters_of(session: CatalogSession, item: CatalogObject) -> list[CatalogColumn]:
    """Return a procedure's parameters in order."""
    rows = query(
        session,
        "SELECT p.parameter_id, p.name, t.name, p.max_length, p.precision, p.scale, p.is_output "
        "FROM sys.parameters AS p INNER JOIN sys.types AS t ON t.user_type_id = p.user_type_id "
        f"WHERE p.object_id = {item.object_id} ORDER BY p.parameter_id",
    )
    return [
        CatalogColumn(
            item.object_id,
            _int(row[0]),
            str(row[1]),
            str(row[2]),
            _int(row[3]),
            _int(row[4]),
            _int(row[5]),
            is_output=bool(row[6]),
        )
        for row in rows
    ]


def indexes_of(session: CatalogSession, item: CatalogObject) -> list[CatalogIndex]:
    """Return a table's indexes; a heap has none."""
    heads = query(
        session,
        "SELECT index_id, name, type, is_unique, is_primary_key FROM sys.indexes "
        f"WHERE object_id = {item.object_id} AND type > 0 ORDER BY index_id",
    )
    keys = query(
        session,
        "SELECT i.index_id, i.key_ordinal, c.name, i.is_descending_key FROM sys.index_columns AS i "
        "INNER JOIN sys.columns AS c ON c.object_id = i.object_id AND c.column_id = i.column_id "
        f"WHERE i.object_id = {item.object_id} AND i.is_included_column = 0 ORDER BY i.index_id, i.key_ordinal",
    )
    return [
        CatalogIndex(
            item.object_id,
            str(name),
            kind == 1,
            bool(unique),
            bool(primary),
            tuple((str(key[2]), bool(key[3])) for key in keys if key[0] == index_id),
        )
        for index_id, name, kind, unique, primary in heads
    ]


def require_current_database(session: CatalogSession, qualifier: str | None) -> None:
    """Raise SqlError 15250 if a procedure is called for another database."""
    if qualifier and qualifier.lower() != session.database.lower():
        raise SqlError(
            15250,
            "The database name component of the object qualifier must be the name of the current database.",
        )


def tables(
    session: CatalogSession, name: str | None, schema: str | None, *, is_pattern: bool = False
) -> list[CatalogObject]:
    """Return the tables and views that match a name."""
    return find_objects(session, frozenset({"U", "V"}), name, schema, is_pattern=is_pattern)


def _int(value: Value) -> int:
    if not isinstance(value, int):
        raise TypeError(f"expected a number from a sys view, not {value!r}")
    return value

"""The SQLite statements that create a stored table, its indexes, and a session's overlay of it."""

from __future__ import annotations

from dstream_sandbox.sqlserver.engine.catalog.model import Column, Index, Table
from dstream_sandbox.sqlserver.engine.storage.connection import collation_for
from dstream_sandbox.sqlserver.engine.types import names


def stored_column(column: Column, prefix: str = "c") -> str:
    """Return a column definition without a type, so that SQLite stores values as given."""
    name = f"{prefix}{column.id}"
    return f"{name} COLLATE {collation_for(column.type.collation)}" if column.type.name in names.CHARACTER else name


def create_table(table: Table) -> list[str]:
    columns = ", ".join(["rid INTEGER PRIMARY KEY", *(stored_column(c) for c in table.stored_columns)])
    return [f"CREATE TABLE {table.stored_name} ({columns})", *(create_index(table, i) for i in table.indexes)]


def create_index(table: Table, index: Index) -> str:
    unique = "UNIQUE " if index.unique else ""
    return f"CREATE {unique}INDEX {table.storage}.i{table.key}_{index.id} ON t{table.key} ({_keys(index)})"


def drop_index(table: Table, index: Index) -> str:
    return f"DROP INDEX {table.storage}.i{table.key}_{index.id}"


def _keys(index: Index) -> str:
    return ", ".join(f"c{column}{' DESC' if descending else ''}" for column, descending in index.columns)


class Overlay:
    """Names of the TEMP objects in which a session keeps its uncommitted changes of one table.

    `log`: one row per change, in write order, with before-image (o..) and after-image (n..); `rows`: the current
    version of every changed or new row; `gone`: ids of committed rows that `rows` replaces or that were deleted;
    `view`: the table as the session sees it."""

    __slots__ = ("gone", "hides", "latest", "log", "rows", "table", "view")

    def __init__(self, table: Table) -> None:
        suffix = f"{table.key}_{table.shape}"
        self.table = table
        self.latest = 0
        """Log position of the last change."""
        self.hides = False
        """Whether `gone` may contain rows."""
        self.log, self.rows = f"temp.log{suffix}", f"temp.rows{suffix}"
        self.gone, self.view = f"temp.gone{suffix}", f"temp.view{suffix}"

    def create(self) -> list[str]:
        table = self.table
        stored = table.stored_columns
        log = ["n INTEGER PRIMARY KEY", "op", "cmd", "rid", "shift"]
        log += [f"o{c.id}" for c in stored] + [f"n{c.id}" for c in stored]
        columns = ", ".join(["rid", *(f"c{c.id}" for c in stored)])
        suffix = f"{table.key}_{table.shape}"
        statements = [
            f"CREATE TABLE IF NOT EXISTS {self.log} ({', '.join(log)})",
            f"CREATE TABLE IF NOT EXISTS {self.rows} (rid INTEGER PRIMARY KEY, "
            f"{', '.join(stored_column(c) for c in stored)})",
            f"CREATE TABLE IF NOT EXISTS {self.gone} (rid INTEGER PRIMARY KEY)",
            f"CREATE TEMP VIEW IF NOT EXISTS {self.view[5:]} AS SELECT {columns} FROM {table.stored_name} "
            f"WHERE rid NOT IN (SELECT rid FROM {self.gone}) UNION ALL SELECT {columns} FROM {self.rows}",
        ]
        for index in table.unique_indexes:
            unique = "UNIQUE " if is_strict(table, index) else ""
            statements.append(
                f"CREATE {unique}INDEX IF NOT EXISTS temp.k{suffix}_{index.id} ON rows{suffix} ({_keys(index)})"
            )
        return statements

    def clear(self) -> list[str]:
        names_ = (self.log, self.rows, self.gone) if self.hides else (self.log, self.rows)
        return [f"DELETE FROM {name}" for name in names_]


def is_strict(table: Table, index: Index) -> bool:
    """Whether no key column can be NULL, so that SQLite's own uniqueness matches SQL Server's."""
    return all(not table.column_by_id(c).nullable for c, _ in index.columns)

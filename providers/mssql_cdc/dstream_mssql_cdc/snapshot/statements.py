"""The statements that read source tables. Like those of sql.py, they only read, and never WITH (NOLOCK).

Only committed rows are read (sql.SESSION). The rows of a chunk need not be of the same moment, since every later change
is streamed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dstream_mssql_cdc.server.sql import literal, quoted
from dstream_mssql_cdc.snapshot import keys
from dstream_mssql_cdc.snapshot.keys import KeyColumn, SourceColumn
from dstream_mssql_cdc.state import KeyValue

# "sys.partitions": rows is "the approximate number of rows"; index_id 0 is a heap, 1 a clustered index. "sys.columns":
# system_type_id 240 is all CLR types, which only user_type_id tells apart; is_masked exists since 2016 (hence c.*).
# "sys.index_columns": key_ordinal 0 is an
# included column. A filtered index is unique only for the rows that pass its filter.
DESCRIBE = """\
SELECT s.name, t.name, HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(t.name), N'OBJECT', N'SELECT'),
       (SELECT SUM(p.rows) FROM sys.partitions AS p WHERE p.object_id = t.object_id AND p.index_id IN (0, 1))
FROM sys.tables AS t JOIN sys.schemas AS s ON s.schema_id = t.schema_id WHERE t.object_id = ?;
SELECT c.*, CASE WHEN c.system_type_id = 240 THEN TYPE_NAME(c.user_type_id) ELSE TYPE_NAME(c.system_type_id) END
       AS type_name
FROM sys.columns AS c WHERE c.object_id = ?;
SELECT i.index_id, c.name, ic.is_descending_key
FROM sys.indexes AS i
JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
WHERE i.object_id = ? AND i.is_unique = 1 AND i.is_disabled = 0 AND i.has_filter = 0 AND ic.key_ordinal > 0
ORDER BY i.index_id, ic.key_ordinal;"""

# As sql.MASKED, for the columns of a source table.
MASKED = """\
SELECT m.name FROM sys.masked_columns AS m WHERE m.object_id = ? AND COALESCE(
    HAS_PERMS_BY_NAME(?, N'OBJECT', N'UNMASK', m.name, N'COLUMN'),
    HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', N'UNMASK'), 0) = 0;"""

# Captured tables whose rows the login cannot read.
UNREADABLE = """\
SELECT DISTINCT t.object_id, s.name, t.name
FROM cdc.change_tables AS ct
JOIN sys.tables AS t ON t.object_id = ct.source_object_id
JOIN sys.schemas AS s ON s.schema_id = t.schema_id
WHERE HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(t.name), N'OBJECT', N'SELECT') = 0;"""

# The first transaction of a fence: it waits for the writers of the table, and keeps others out until it ends. "Table
# hints": TABLOCK locks the whole table; HOLDLOCK keeps the lock until the end of the transaction, and makes the read
# take one even if READ_COMMITTED_SNAPSHOT is on. Writers that come later wait behind it ("SET LOCK_TIMEOUT", error
# 1222), so it must not wait long.
_LOCK_TIMEOUT_MS = 5000

# The second one: its snapshot begins with its first read ("Transaction locking and row versioning guide"), and SAVE
# TRANSACTION writes a log record, whose LSN is a point in the log. "sys.dm_tran_database_transactions" and
# "sys.dm_tran_current_transaction": need VIEW SERVER STATE; in Azure SQL Database VIEW DATABASE STATE or more.
PIN = """\
SET TRANSACTION ISOLATION LEVEL SNAPSHOT;
BEGIN TRANSACTION;
SELECT TOP (1) object_id FROM cdc.change_tables;
SAVE TRANSACTION dstream;"""

SAVEPOINT_LSN = """\
SELECT d.database_transaction_most_recent_savepoint_lsn
FROM sys.dm_tran_current_transaction AS c
JOIN sys.dm_tran_database_transactions AS d ON d.transaction_id = c.transaction_id
WHERE d.database_transaction_most_recent_savepoint_lsn IS NOT NULL;"""

UNLOCK = "ROLLBACK TRANSACTION;"

# Whether SNAPSHOT is allowed ("sys.databases": 1 is ON), and whether this is a readable secondary.
ALLOWS_FENCE = """\
SELECT d.snapshot_isolation_state, CONVERT(varchar(10), DATABASEPROPERTYEX(DB_NAME(), N'Updateability'))
FROM sys.databases AS d WHERE d.name = DB_NAME();"""


def now(table: str) -> str:
    """The server's time and the object id of the table that has this name, after a read: a swap of two tables can give
    the name to another table.

    The clock is that of cdc.lsn_time_mapping.tran_end_time, which is a server-local datetime.
    """
    return f"SELECT GETDATE(), OBJECT_ID({literal(table)}, N'U');"


def select_list(expressions: Sequence[str], key: Sequence[KeyColumn]) -> list[str]:
    """The columns of a bound, and then `expressions`."""
    return [*(keys.selected(each.column, quoted(each.column.name)) for each in key), *expressions]


def order_of(key: Sequence[KeyColumn]) -> tuple[str, ...]:
    return tuple(quoted(each.column.name) + (" DESC" if each.is_descending else "") for each in key)


def last_key(table: str, key: Sequence[KeyColumn]) -> str:
    """The bound of the last row in the order of the key: the first one in the opposite order."""
    backwards = [KeyColumn(each.column, not each.is_descending) for each in key]
    columns = ", ".join(select_list([], key))
    return f"SELECT TOP (1) {columns} FROM {table} ORDER BY {', '.join(order_of(backwards))};\n{now(table)}"


def chunk(
    table: str,
    key: Sequence[KeyColumn],
    expressions: Sequence[str],
    where: str,
    parameters: Sequence[object],
    up_to: Sequence[KeyValue] | None,
    limit: int,
) -> tuple[str, list[object]]:
    """At most `limit` rows of a range, in the order of the key, and then the result of `now`; its parameters. The last
    column is 1 for rows beyond `up_to`.

    As a second bound of the range, a key of several columns would need an OR, which can cost the order of the index.
    """
    is_beyond, beyond = _is_beyond(key, up_to)
    columns = ",\n       ".join([*select_list(expressions, key), is_beyond])
    condition = f"\nWHERE {where}" if where else ""
    return f"SELECT TOP (?) {columns}\nFROM {table}{condition}\nORDER BY {', '.join(order_of(key))};\n{now(table)}", [
        limit,
        *beyond,
        *parameters,
    ]


def scan(table: str, expressions: Sequence[str]) -> str:
    """The result of `now`, and then all rows, in any order."""
    columns = ",\n       ".join(expressions)
    return f"{now(table)}\nSELECT {columns}\nFROM {table};"


def lock(table: str) -> str:
    """Begins a transaction that holds a shared lock on the table."""
    return (
        f"SET LOCK_TIMEOUT {_LOCK_TIMEOUT_MS};\nSET TRANSACTION ISOLATION LEVEL READ COMMITTED;\nBEGIN TRANSACTION;\n"
        f"SELECT TOP (1) 1 FROM {table} WITH (TABLOCK, HOLDLOCK);"
    )


def ranges(key: Sequence[KeyColumn], after: Sequence[KeyValue] | None) -> Iterator[tuple[str, list[object]]]:
    """The conditions and parameters for the rows after a bound, in order, each one range of the index.

    After (a, b): first k1 = a AND k2 > b, then k1 > a. One condition for both would need an OR, for which the server
    reads all rows with k1 = a again for each chunk.
    """
    if after is None:
        yield "", []
        return
    for last in reversed(range(len(key))):
        beyond = _beyond(key[last], after[last])
        if beyond is None:
            continue
        parts = [*(_equal(key[at].column, after[at]) for at in range(last)), beyond]
        yield " AND ".join(text for text, _ in parts), [value for _, values in parts for value in values]


_Condition = tuple[str, list[object]]


def _is_beyond(key: Sequence[KeyColumn], up_to: Sequence[KeyValue] | None) -> _Condition:
    beyond = [] if up_to is None else [*ranges(key, up_to)]
    if not beyond:
        return "0", []
    condition = " OR ".join(f"({text})" for text, _ in beyond)
    return f"CASE WHEN {condition} THEN 1 ELSE 0 END", [value for _, values in beyond for value in values]


def _equal(column: SourceColumn, value: KeyValue) -> _Condition:
    name = quoted(column.name)
    if value is None:
        return f"{name} IS NULL", []
    return f"{name} = {keys.bound(column)}", [keys.sent(column, value)]


def _beyond(key: KeyColumn, value: KeyValue) -> _Condition | None:
    """NULL is the lowest value ("ORDER BY clause"). None: nothing comes after it."""
    column, name = key.column, quoted(key.column.name)
    if value is None:
        return None if key.is_descending else (f"{name} IS NOT NULL", [])
    operator = "<" if key.is_descending else ">"
    condition = f"{name} {operator} {keys.bound(column)}"
    if key.is_descending and column.is_nullable:
        condition = f"({condition} OR {name} IS NULL)"
    return condition, [keys.sent(column, value)]


def statements() -> Iterator[str]:
    """One statement of each kind, for the test that checks that all are reads."""
    key = [KeyColumn(SourceColumn("Id", "int")), KeyColumn(SourceColumn("Name", "varchar", 9, collation="C"))]
    yield from (DESCRIBE, MASKED, UNREADABLE, now("[dbo].[T]"), scan("[dbo].[T]", ["[Id]"]), last_key("[dbo].[T]", key))
    yield from (lock("[dbo].[T]"), PIN, SAVEPOINT_LSN, UNLOCK, ALLOWS_FENCE)
    for where, parameters in ranges(key, (7, "a")):
        yield chunk("[dbo].[T]", key, ["[Id]"], where, parameters, (9, "z"), 1)[0]

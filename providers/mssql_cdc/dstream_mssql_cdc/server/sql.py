"""The statements that read changes and the catalog. Others: health/statements.py, snapshot/statements.py, and
capture/statements.py, the only one that changes anything.

All are reads, none uses NOLOCK; values are bound, names are quoted.

Only committed rows are read. "About change data capture", Capture process: the change rows and mapping rows of a
capture cycle are committed in one transaction, of which a dirty read could see only a part.

The generated query functions (cdc.fn_cdc_get_all_changes_..) are not used: they read WITH (NOLOCK), lack
`__$command_id`, and fail with 313 on an empty range.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dstream_mssql_cdc.position import NO_COMMAND_ID, UPDATE_BEFORE, Floor

# sys.databases: is_cdc_enabled, service_broker_guid. Any login can read it for the current database. "DB_ID", Remarks:
# in Azure SQL Database, DB_ID() may differ from database_id. Whether is_cdc_enabled can be stale on a secondary is
# unconfirmed; the table exists only while CDC is enabled ("sys.sp_cdc_disable_db").
DATABASE = """\
SELECT d.name, CASE WHEN d.is_cdc_enabled = 1 OR OBJECT_ID(N'cdc.change_tables') IS NOT NULL THEN 1 ELSE 0 END,
       CONVERT(varchar(36), d.service_broker_guid)
FROM sys.databases AS d WHERE d.name = DB_NAME();"""

# "cdc.change_tables": start_lsn is the low watermark. Queried after every read, in the same batch: after a poll and a
# probe, of all tables, and after a page, of the table that was read.
WATERMARKS = """\
SELECT capture_instance, object_id, source_object_id, start_lsn, create_date FROM cdc.change_tables
ORDER BY object_id;"""

# "cdc.ddl_history", required_column_update: a new type of a captured column alters the change table's column, too. So
# rows can have other types than the catalog had. "sys.objects", modify_date: when the table was last altered.
WATERMARKS_OF_TABLE = """\
SELECT ct.capture_instance, ct.object_id, ct.source_object_id, ct.start_lsn, ct.create_date, t.modify_date
FROM cdc.change_tables AS ct LEFT JOIN sys.tables AS t ON t.object_id = ct.object_id
WHERE ct.source_object_id = ? ORDER BY ct.object_id;"""

# What sys.fn_cdc_get_max_lsn returns: NULL before the first scan. Estuary suspects the function of recompiling and lock
# contention (github.com/estuary/connectors/pull/3475).
MAX_LSN = "SELECT MAX(start_lsn) FROM cdc.lsn_time_mapping;"

CURRENT_TIME_ZONE = "CURRENT_TIMEZONE_ID()"
"""The expression for the server's time zone, since SQL Server 2022, in Azure SQL Database and Managed Instance; error
195 elsewhere."""


def utc_offset(zone: str) -> str:
    """Selects the current offset of the time zone, to check the expression. "AT TIME ZONE": since SQL Server 2016."""
    return f"SELECT DATEPART(TZOFFSET, GETDATE() AT TIME ZONE {zone});"


def poll(zone: str | None) -> str:
    """Selects how far capture has progressed, in the server's local time, with its offsets in minutes if the expression
    for its time zone is known.

    The maximum is read first, so that the mapping rows are not older. "DATABASEPROPERTYEX": Updateability is READ_ONLY
    on a readable secondary ("Use read-only replicas to offload read-only query workloads"). "AT TIME ZONE", Remarks: in
    the hour that occurs twice in autumn, every time has the offset before the change.
    """
    offset = "NULL" if zone is None else f"DATEPART(TZOFFSET, tran_end_time AT TIME ZONE {zone})"
    return f"""\
SELECT MAX(start_lsn), GETDATE(), CONVERT(varchar(10), DATABASEPROPERTYEX(DB_NAME(), N'Updateability'))
FROM cdc.lsn_time_mapping;
SELECT TOP (?) start_lsn, tran_id, tran_end_time, {offset} FROM cdc.lsn_time_mapping
WHERE start_lsn >= CONVERT(binary(10), ?) ORDER BY start_lsn;
{WATERMARKS}"""


# "sys.fn_cdc_map_time_to_lsn": the first LSN whose transaction ended at the time or later; NULL when there is none.
LSN_AT_TIME = "SELECT sys.fn_cdc_map_time_to_lsn(N'smallest greater than or equal', CONVERT(datetime, ?, 126));"


def lsn_at_instant(zone: str) -> str:
    """Like LSN_AT_TIME, for a time with an offset. In the hour that occurs twice in autumn, the smallest LSN is the one
    of the first occurrence: too early, never too late."""
    return f"""\
SELECT sys.fn_cdc_map_time_to_lsn(N'smallest greater than or equal',
    CONVERT(datetime, CONVERT(datetimeoffset(3), ?) AT TIME ZONE {zone}));"""


# "cdc.change_tables", "cdc.captured_columns" (object_id is the change table's), "cdc.index_columns". sys.columns has
# the change tables' own columns, because their lengths and scales count. Names are not compared here: the collations of
# the database and its catalog can differ (error 468; "Contained database collations"). HAS_PERMS_BY_NAME detects a
# missing grant before a read fails with 229. c.*: is_masked and encryption_type exist since SQL Server 2016.
# "sys.sp_cdc_get_ddl_history", Remarks: capture enters changes of a table's columns in cdc.ddl_history when it reads
# them in the log. The procedure needs SELECT on the source table's columns; reading the table needs SELECT on cdc.
CATALOG = """\
SELECT s.name, t.name, t.object_id, ct.capture_instance, ct.object_id, ct.start_lsn, ct.create_date,
       HAS_PERMS_BY_NAME(N'cdc.' + QUOTENAME(ct.capture_instance + N'_CT'), N'OBJECT', N'SELECT'), changes.modify_date
FROM cdc.change_tables AS ct
JOIN sys.tables AS t ON t.object_id = ct.source_object_id
JOIN sys.schemas AS s ON s.schema_id = t.schema_id
LEFT JOIN sys.tables AS changes ON changes.object_id = ct.object_id
ORDER BY s.name, t.name, ct.object_id;
SELECT object_id, column_name, column_type, column_ordinal, is_computed FROM cdc.captured_columns
ORDER BY object_id, column_ordinal;
SELECT c.*, TYPE_NAME(c.system_type_id) AS base_type, TYPE_NAME(c.user_type_id) AS type_name FROM sys.columns AS c
JOIN cdc.change_tables AS ct ON c.object_id IN (ct.object_id, ct.source_object_id);
SELECT object_id, column_name FROM cdc.index_columns ORDER BY object_id, index_ordinal;
SELECT object_id, ddl_command FROM cdc.ddl_history;"""

# "Dynamic data masking", "HAS_PERMS_BY_NAME": since SQL Server 2022, UNMASK can be granted down to a column. Before, it
# can be granted on the database only, and the first call returns NULL.
MASKED = """\
SELECT m.object_id, m.name FROM sys.masked_columns AS m JOIN cdc.change_tables AS ct ON ct.object_id = m.object_id
WHERE COALESCE(HAS_PERMS_BY_NAME(N'cdc.' + QUOTENAME(ct.capture_instance + N'_CT'), N'OBJECT', N'UNMASK', m.name,
    N'COLUMN'), HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', N'UNMASK'), 0) = 0;"""

# The original DStream's checkpoints: mssql/monitor/checkpoint_manager.go of katasec/dstream-ingester-mssql.
CDC_OFFSETS = "SELECT table_name, last_lsn FROM dbo.cdc_offsets;"

# "sys.index_columns": index_id 1 is the clustered index. Tables whose columns the login cannot see give no rows.
CHANGE_TABLE_KEYS = """\
SELECT ct.capture_instance, c.name FROM cdc.change_tables AS ct
JOIN sys.index_columns AS ic ON ic.object_id = ct.object_id AND ic.index_id = 1 AND ic.key_ordinal > 0
JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
ORDER BY ct.object_id, ic.key_ordinal;"""

TABLE_EXISTS = "SELECT OBJECT_ID(QUOTENAME(?) + N'.' + QUOTENAME(?), N'U');"

# "sys.dm_server_services": needs VIEW SERVER STATE (2022: VIEW SERVER SECURITY STATE); does not exist in Azure SQL
# Database.
AGENT_STATUS = "SELECT status_desc FROM sys.dm_server_services WHERE servicename LIKE N'SQL Server Agent%';"

# "SET DEADLOCK_PRIORITY": the reader is the deadlock victim, not capture, cleanup or applications, since it can retry.
# "Transaction locking and row versioning guide": without READ_COMMITTED_SNAPSHOT, a read would wait for the rows that
# capture has not committed; SNAPSHOT reads the committed ones. Each statement is a transaction and sees the latest.
# "Offload read-only workload to a secondary replica": there, every level is mapped to snapshot isolation.
SESSION = """\
SET DEADLOCK_PRIORITY LOW;
IF EXISTS (SELECT 1 FROM sys.databases WHERE name = DB_NAME() AND snapshot_isolation_state = 1
           AND is_read_committed_snapshot_on = 0)
    SET TRANSACTION ISOLATION LEVEL SNAPSHOT;"""

_PROBE_BRANCHES = 50
READING_ORDER = ("__$start_lsn", "__$command_id", "__$seqval", "__$operation")
_ORDER = ", ".join(f"[{name}]" for name in READING_ORDER)


def quoted(name: str) -> str:
    """An identifier in brackets, like QUOTENAME."""
    return "[" + name.replace("]", "]]") + "]"


def literal(text: str) -> str:
    """A Unicode string literal."""
    return "N'" + text.replace("'", "''") + "'"


def change_table(instance: str) -> str:
    """ "sys.sp_cdc_enable_table": the change table is named <capture_instance>_CT."""
    return "cdc." + quoted(f"{instance}_CT")


def probe(instances: Sequence[str]) -> str:
    """Selects the indexes of the instances that have rows in [?, ?]. Several SELECTs limit the size of each."""
    selects = []
    for start in range(0, len(instances), _PROBE_BRANCHES):
        branches = [
            f"SELECT {start + at} AS place WHERE EXISTS (SELECT 1 FROM {change_table(instance)} "
            "WHERE [__$start_lsn] >= @from AND [__$start_lsn] <= @to)"
            for at, instance in enumerate(instances[start : start + _PROBE_BRANCHES])
        ]
        selects.append("\nUNION ALL ".join(branches) + ";")
    return "\n".join(["DECLARE @from binary(10) = ?, @to binary(10) = ?;", *selects, WATERMARKS])


def page(
    instance: str,
    object_id: int,
    select_list: Sequence[str],
    floor: Floor,
    upper: bytes,
    operations: Sequence[int],
    max_rows: int,
) -> tuple[str, list[object]]:
    """The statement for the rows after `floor`, in the order of the clustered index, and the watermarks of the source
    table `object_id`; its parameters.

    The rows come as one result per stage of the floor. Once they are `max_rows`, the later stages have no result.
    """
    columns = ", ".join(f"[{name}]" for name in (*READING_ORDER, "__$update_mask"))
    values = "".join(f",\n       {expression}" for expression in select_list)
    rows = f"SELECT TOP (@left) {columns}{values}\nFROM {change_table(instance)}"
    only = f" AND [__$operation] IN ({', '.join(map(str, operations))})" if len(operations) < 4 else ""
    selects: list[str] = []
    parameters: list[object] = [max_rows]
    stage: Floor | None = floor
    while stage is not None:
        where, bound = _stage(stage, upper)
        selects.append(f"{rows}\nWHERE {where}{only}\nORDER BY {_ORDER};\n")
        parameters += bound
        stage = stage.wider()
    # Once no row is left, @left stays at most 0, whatever @@ROWCOUNT is after an IF whose SELECT was skipped.
    batch = "SET @left = @left - @@ROWCOUNT;\nIF @left > 0 ".join(selects)
    return f"DECLARE @left int = ?;\n{batch}{WATERMARKS_OF_TABLE}", [*parameters, object_id]


def operation_codes(names: Sequence[str], *, before_images: bool) -> tuple[int, ...]:
    """The `__$operation` values to read: 1 delete, 2 insert, 3 and 4 before and after an update."""
    codes = {"delete": [1], "insert": [2], "update": [3, 4] if before_images else [4]}
    return tuple(sorted({code for name in names for code in codes[name]}))


def _stage(floor: Floor, upper: bytes) -> tuple[str, list[object]]:
    """The condition and parameters for the part of the clustered index after `floor` that its stage covers."""
    lsn, command_id, seqval, operation = floor
    if command_id is None:
        return (
            "[__$start_lsn] > CONVERT(binary(10), ?) AND [__$start_lsn] <= CONVERT(binary(10), ?)",
            [lsn, upper],
        )
    is_null = command_id == NO_COMMAND_ID
    if seqval is None:
        later = "IS NOT NULL" if is_null else "> ?"
        return (
            f"[__$start_lsn] = CONVERT(binary(10), ?) AND [__$command_id] {later}",
            [lsn] if is_null else [lsn, command_id],
        )
    same = "IS NULL" if is_null else "= ?"
    return (
        f"[__$start_lsn] = CONVERT(binary(10), ?) AND [__$command_id] {same} AND [__$seqval] >= CONVERT(binary(10), ?)"
        " AND ([__$seqval] > CONVERT(binary(10), ?) OR [__$operation] > ?)",
        [lsn, *([] if is_null else [command_id]), seqval, seqval, operation],
    )


def statements() -> Iterator[str]:
    """One statement of each kind, for the test that checks that all are reads."""
    yield from (
        DATABASE,
        MAX_LSN,
        utc_offset(CURRENT_TIME_ZONE),
        poll(None),
        poll(CURRENT_TIME_ZONE),
        LSN_AT_TIME,
        lsn_at_instant(CURRENT_TIME_ZONE),
        CATALOG,
        MASKED,
        CDC_OFFSETS,
        CHANGE_TABLE_KEYS,
        TABLE_EXISTS,
        AGENT_STATUS,
        SESSION,
        probe(["dbo_T", "dbo_U"]),
    )
    for floor in (Floor(b""), Floor(b"", 1), Floor(b"", 1, b"", UPDATE_BEFORE)):
        yield page("dbo_T", 1, ["[Id]"], floor, b"", (1, 2), 1)[0]

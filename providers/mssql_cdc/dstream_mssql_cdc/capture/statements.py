"""The statements that create and drop capture instances. They are the only ones that change anything in the source, and
run only with manage_capture_instances.

"sys.sp_cdc_enable_table" and "sys.sp_cdc_disable_table", Permissions: both need membership in db_owner (error 22904).
"""

from __future__ import annotations

from collections.abc import Sequence

from dstream_mssql_cdc.server.sql import quoted

# "IS_ROLEMEMBER": 1 for members of the role, also through other roles; a sysadmin is dbo, which is in db_owner.
IS_OWNER = "SELECT IS_ROLEMEMBER(N'db_owner'), USER_NAME(), DB_NAME();"

# "SET LOCK_TIMEOUT": applications that need the table must not queue for long behind a request for a schema lock.
SESSION = "SET LOCK_TIMEOUT 10000;"

# sql.SESSION sets SNAPSHOT where it is allowed. In it, a transaction must not contain CREATE INDEX (error 3964;
# "MSSQLSERVER_3961"), which a change table needs. "SET statements": the option ends with a batch that has parameters.
_LEVEL = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;\n"

# What may need a new instance, or allow one to be dropped.
SIGNATURE = """\
SELECT (SELECT COUNT(*) FROM cdc.ddl_history), (SELECT MAX(ddl_lsn) FROM cdc.ddl_history),
       (SELECT COUNT(*) FROM cdc.change_tables), (SELECT MAX(object_id) FROM cdc.change_tables);"""

# "sp_getapplock": 0 or 1 if the lock was granted. It belongs to the session and to the current database. Members of
# public may call it.
LOCK = """\
SET NOCOUNT ON;
DECLARE @result int;
EXEC @result = sys.sp_getapplock @Resource = ?, @LockMode = ?, @LockOwner = N'Session', @LockTimeout = 0;
SELECT @result;"""
RELEASE = """\
SET NOCOUNT ON;
DECLARE @result int;
EXEC @result = sys.sp_releaseapplock @Resource = ?, @LockOwner = N'Session';
SELECT @result;"""

SETTINGS = """\
SELECT role_name, index_name, filegroup_name, supports_net_changes, partition_switch FROM cdc.change_tables
WHERE capture_instance = ?;"""

COLUMNS = "SELECT name FROM sys.columns WHERE object_id = ? AND is_computed = 0 ORDER BY column_id;"

OBJECT_ID = "SELECT OBJECT_ID(QUOTENAME(?) + N'.' + QUOTENAME(?), N'U');"


def create(
    schema: str,
    table: str,
    instance: str,
    *,
    role: str | None = None,
    index: str | None = None,
    filegroup: str | None = None,
    supports_net_changes: bool | None = None,
    allows_partition_switch: bool = True,
    columns: Sequence[str] | None = None,
) -> tuple[str, list[object]]:
    """`role`: None for no gating role, for which the procedure has no default. For the others, None is its default."""
    arguments: dict[str, object | None] = {
        "source_schema": schema,
        "source_name": table,
        "capture_instance": instance,
        "role_name": role,
        "index_name": index,
        "filegroup_name": filegroup,
        "supports_net_changes": None if supports_net_changes is None else int(supports_net_changes),
        "allow_partition_switch": None if allows_partition_switch else 0,
        "captured_column_list": None if columns is None else ", ".join(map(quoted, columns)),
    }
    given = {name: value for name, value in arguments.items() if value is not None}
    names = [f"@{name} = ?" for name in given] + (["@role_name = NULL"] if role is None else [])
    return f"{_LEVEL}EXEC sys.sp_cdc_enable_table {', '.join(names)};", list(given.values())


def drop(schema: str, table: str, instance: str) -> tuple[str, list[object]]:
    statement = "EXEC sys.sp_cdc_disable_table @source_schema = ?, @source_name = ?, @capture_instance = ?;"
    return _LEVEL + statement, [schema, table, instance]

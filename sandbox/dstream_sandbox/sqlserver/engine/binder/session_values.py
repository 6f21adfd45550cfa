"""Session values that a plan takes as parameters, such as @@ variables, with their types (Microsoft Learn,
"Configuration functions" and "System functions (Transact-SQL)")."""

from __future__ import annotations

from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.values import SqlType

_NUMERIC_IDENTITY = SqlType("numeric", None, 38, 0)
_TEXT = SqlType("nvarchar", 4000, collation=names.DEFAULT_COLLATION)

SESSION_VALUES: dict[str, SqlType] = {
    "@@rowcount": names.INT,
    "@@error": names.INT,
    "@@trancount": names.INT,
    "@@spid": names.SMALLINT,
    "@@identity": _NUMERIC_IDENTITY,
    "@@version": SqlType("nvarchar", 300, collation=names.DEFAULT_COLLATION),
    "@@servername": names.SYSNAME,
    "@@servicename": names.SYSNAME,
    "@@language": names.SYSNAME,
    "@@langid": names.SMALLINT,
    "@@datefirst": names.TINYINT,
    "@@dbts": SqlType("varbinary", 8),
    "@@max_precision": names.TINYINT,
    "@@microsoftversion": names.INT,
    "@@lock_timeout": names.INT,
    "@@nestlevel": names.INT,
    "@@procid": names.INT,
    "@@options": names.INT,
    "@@textsize": names.INT,
    "@@max_connections": names.INT,
    "@@fetch_status": names.INT,
    "@@cursor_rows": names.INT,
    "@@remserver": names.SYSNAME,
    "scope_identity": _NUMERIC_IDENTITY,
    "now": names.DATETIME,
    "now2": names.DATETIME2,
    "utcnow": names.DATETIME,
    "utcnow2": names.DATETIME2,
    "nowoffset": names.DATETIMEOFFSET,
    "login": names.SYSNAME,
    "user": names.SYSNAME,
    "database": names.SYSNAME,
    "database_id": names.SMALLINT,
    "host": names.SYSNAME,
    "app": names.SYSNAME,
    "schema": names.SYSNAME,
    "xact_state": names.SMALLINT,
    "error_number": names.INT,
    "error_message": _TEXT,
    "error_severity": names.INT,
    "error_state": names.INT,
    "error_line": names.INT,
    "error_procedure": names.SYSNAME,
    "transaction_id": names.BIGINT,
    "random": names.FLOAT,
    "rowcount_big": names.BIGINT,
}

"""Maps SQL Server's errors to DStream's: the type determines what the host does next, the hint gives the T-SQL fix.

Numbers: Microsoft "Database engine events and errors"; those that a retry may overcome are in dstream/odbc.py.
"""

from __future__ import annotations

import re

from dstream.odbc import TRANSIENT_ERRORS, numbers_of, plain_message
from dstream.sdk.errors import AuthError, ConfigError, DStreamError, SystemFault, TransientError, UnreachableError
from dstream_mssql_cdc.server.connection_string import CONFIG_PATH
from dstream_mssql_cdc.server.sql import literal, quoted

TRUST_THE_CERTIFICATE = (
    "If the server's certificate is self-signed, as in containers, add its CA to the trust store of this machine, or "
    "set SSL_CERT_FILE to the CA. For SQL Server 2022 and later, Encrypt=strict with ServerCertificate=FILE accepts "
    "only that certificate. If the certificate has another name than the server, add HostNameInCertificate=NAME."
)


class ReadInterrupted(TransientError):
    """The connection was lost, or rows read on it are invalid; reconnect and resume from the position."""

    awaited_s = 0.0
    """How long the server had been asked when the error came."""


def translate(
    error: Exception, *, driver: str = "", server: str = "", login: str = "", database: str = "", connected: bool
) -> DStreamError:
    """Return the DStream error for a pyodbc.Error, whose args are the SQLSTATE and a text.

    `connected`: a connection has worked before, so a retry may help.
    """
    state, text = (str(error.args[0]), str(error.args[-1])) if error.args else ("", str(error))
    numbers = set(numbers_of(text))
    message = plain_message(text)
    if 4060 in numbers:
        return _unknown_database(message, login, database, connected=connected)
    if 18456 in numbers or (state == "28000" and not numbers & TRANSIENT_ERRORS):
        return _login_failed(message, login)
    if numbers & TRANSIENT_ERRORS or (connected and (state.startswith(_TRANSIENT_STATES) or _DRIVER_LOST in text)):
        return ReadInterrupted("mssql.interrupted", message, hint=_hint(message, numbers))
    if 22904 in numbers:
        return not_owner(login, database)
    if numbers & {229, 230, 262, 297, 300, 916}:
        return no_grant(message, login)
    if numbers & {207, 208}:
        return ReadInterrupted("mssql.schema_changed", message)
    if not connected:
        return _not_connected(state, message, server, driver)
    return SystemFault("mssql.query_failed", f"SQL Server returned an error: {message}")


def _hint(message: str, numbers: set[int]) -> str:
    if 978 in numbers:
        return "To read from this secondary replica, set read_only_intent = true."
    if "Query timeout expired" in message:
        return (
            "If this repeats, increase query_timeout. If another session blocks the query, let it read row versions: "
            "ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON;"
        )
    return ""


def no_grant(message: str, login: str = "") -> AuthError:
    user = f"[{login}]" if login else "[reader]"
    grants = f"GRANT SELECT ON SCHEMA::cdc TO {user};\n    GRANT VIEW DEFINITION ON SCHEMA::dbo TO {user};"
    grants += "  -- and the schemas of the other tables"
    if (denied := _DENIED.search(message)) and denied["schema"] != "cdc":
        grants = f"GRANT {denied['permission']} ON {quoted(denied['schema'])}.{quoted(denied['object'])} TO {user};"
    return AuthError(
        "mssql.no_grant",
        f"the login lacks a permission: {message}",
        hint=f"As db_owner:\n    {grants}",
        config_path=CONFIG_PATH,
    )


_DENIED = re.compile(
    r"The (?P<permission>\w+) permission was denied on the object '(?P<object>.*?)', database '.*?', "
    r"schema '(?P<schema>.*?)'"
)
"""The text of error 229."""


def masked_column(table: str, column: str, login: str, *, on: str = "SCHEMA::cdc") -> AuthError:
    """`on`: what UNMASK is needed on."""
    user = f"[{login}]" if login else "[reader]"
    return AuthError(
        "mssql.masked_column",
        f"{table}.{column} has a data mask, and the login lacks UNMASK, so it would read masked values",
        hint="As db_owner:\n"
        f"    GRANT UNMASK ON {on} TO {user};  -- before SQL Server 2022: GRANT UNMASK TO {user};\n"
        f"Or exclude or redact the column: {_exclusion(table, column)}",
        config_path="columns",
    )


def encrypted_column(table: str, column: str) -> ConfigError:
    return ConfigError(
        "mssql.encrypted_column",
        f"{table}.{column} is encrypted with Always Encrypted, so its change table has only ciphertext",
        hint=f"Exclude or redact the column: {_exclusion(table, column)}",
        config_path="columns",
    )


def _exclusion(table: str, column: str) -> str:
    return f'columns = {{ "{table}" = {{ exclude = ["{column}"] }} }}'


def offset_unsupported() -> ConfigError:
    return ConfigError(
        "mssql.start_from",
        "this version of SQL Server cannot tell its time zone, which a time with an offset requires",
        hint="Set time_zone, or use a time without an offset, in the server's time zone.",
        config_path="start_from",
    )


def unknown_time_zone(name: str, message: str) -> ConfigError:
    return ConfigError(
        "mssql.time_zone",
        f'SQL Server does not know the time zone "{name}": {message}',
        hint="To list its time zones (since SQL Server 2016), run: SELECT name FROM sys.time_zone_info;",
        config_path="time_zone",
    )


def no_select(table: str, login: str) -> AuthError:
    """`table` is quoted."""
    user = f"[{login}]" if login else "[reader]"
    return AuthError(
        "mssql.no_grant",
        f"the login lacks SELECT on {table}, which a snapshot reads",
        hint=f"As db_owner:\n    GRANT SELECT ON {table} TO {user};",
        config_path="start_from",
    )


def no_fence(reason: str, hint: str) -> ConfigError:
    return ConfigError(
        "mssql.no_fence", f"a fenced snapshot is not possible: {reason}", hint=hint, config_path="snapshot.mode"
    )


def no_fence_grant(message: str, login: str) -> AuthError:
    user = f"[{login}]" if login else "[reader]"
    return AuthError(
        "mssql.no_grant",
        f"the login cannot read the LSN of a fenced snapshot: {message}",
        hint=f"As sysadmin:\n    GRANT VIEW SERVER STATE TO {user};\n"
        f"In Azure SQL Database, as the server's administrator:\n    GRANT VIEW DATABASE STATE TO {user};\n"
        'Or set mode = "chunked".',
        config_path="snapshot.mode",
    )


def net_changes_need_state() -> ConfigError:
    return ConfigError(
        "mssql.net_changes",
        "this host stores no checkpoints, which net changes require",
        hint="Remove net_changes, or run the task with `dstream run`.",
        config_path="net_changes",
    )


def start_from_required() -> ConfigError:
    """Without a checkpoint, a default start would make every run read everything again."""
    return ConfigError(
        "mssql.start_from_required",
        "this host stores no checkpoints, so every run starts at start_from, which is not set",
        hint='Set start_from to "earliest", "latest", an LSN or a time, or run the task with `dstream run`.',
        config_path="start_from",
    )


def not_owner(user: str, database: str) -> AuthError:
    return AuthError(
        "mssql.not_owner",
        f"manage_capture_instances needs membership in db_owner, which {user or 'the login'} lacks in {database}",
        hint=f"In {quoted(database)}, as a member of db_owner:\n    {add_owner(user)}\n"
        "Or remove manage_capture_instances, and create capture instances yourself.",
        config_path="manage_capture_instances",
    )


def add_owner(user: str) -> str:
    return f"ALTER ROLE db_owner ADD MEMBER {quoted(user or 'reader')};"


def cdc_disabled(database: str) -> ConfigError:
    return ConfigError(
        "mssql.cdc_disabled",
        f'change data capture is not enabled in database "{database}"',
        hint=f"Enable it as sysadmin, or in Azure SQL Database as db_owner, in {quoted(database)}:\n"
        "    EXEC sys.sp_cdc_enable_db;\n"
        f"On Amazon RDS:\n    EXEC msdb.dbo.rds_cdc_enable_db {literal(database)};",
        config_path=CONFIG_PATH,
    )


def table_not_captured(schema: str, table: str, config_path: str) -> ConfigError:
    return ConfigError(
        "mssql.table_not_captured",
        f"change data capture is not enabled for table {schema}.{table}",
        hint="Enable it as db_owner:\n    EXEC sys.sp_cdc_enable_table "
        f"@source_schema = {literal(schema)}, @source_name = {literal(table)}, @role_name = NULL;",
        config_path=config_path,
    )


def second_instance_hint(table: str, instance: str, older: str | None = None) -> str:
    """How to replace a capture instance without losing changes. `table`: schema.table. `older`: the table's other
    instance, since a table can have two ("sys.sp_cdc_enable_table")."""
    schema, name = table.split(".", 1)
    source = f"@source_schema = {literal(schema)}, @source_name = {literal(name)}"
    drop = f"    EXEC sys.sp_cdc_disable_table {source}, @capture_instance = "
    first = f"{drop}{literal(older)};  -- when reading has switched to {instance}\n" if older else ""
    return (
        f"As db_owner:\n{first}    EXEC sys.sp_cdc_enable_table {source}, @role_name = NULL, "
        f"@capture_instance = {literal(f'{instance}_2')};\n"
        f"Reading switches to it. After that, drop the old one:\n{drop}{literal(instance)};"
    )


def unknown_table(pattern: str, schema: str, config_path: str, login: str = "", close: str = "") -> ConfigError:
    user = f"[{login}]" if login else "[reader]"
    return ConfigError(
        "mssql.unknown_table",
        f'no table "{pattern}" with change data capture is visible to the login',
        hint=f'Did you mean "{close}"?'
        if close
        else "Check the name and the schema. If both are right, as db_owner:\n"
        f"    GRANT VIEW DEFINITION ON SCHEMA::{quoted(schema)} TO {user};",
        config_path=config_path,
    )


def driver_missing(driver: str, message: str) -> ConfigError:
    return ConfigError(
        "mssql.driver_missing",
        f'cannot load the ODBC driver "{driver}": {message}',
        hint="Install the Python package mssql-python-odbc or Microsoft's msodbcsql18, or set odbc_driver to another "
        "driver. On Debian, also run: apt-get install libodbc2 libltdl7 libkrb5-3 libgssapi-krb5-2",
        config_path="odbc_driver",
    )


def agent_stopped_hint(database: str) -> str:
    return f"Start the SQL Server Agent service. Then {_start_capture(database)}"


def capture_silent_hint(database: str) -> str:
    """Sources: "Replication, change tracking, and change data capture with availability groups" (a new primary has no
    jobs); "About change data capture" (the Log Reader Agent)."""
    return (
        f"Check that SQL Server Agent is running. Then {_start_capture(database)}\n"
        "If the database is also published for transactional replication, check the Log Reader Agent instead: it does "
        "the work of the capture job.\n"
        "To list capture errors: SELECT * FROM sys.dm_cdc_errors;"
    )


def _start_capture(database: str) -> str:
    return (
        f"start the capture job:\n    EXEC msdb.dbo.sp_start_job {literal(f'cdc.{database}_capture')};\n"
        f"If there is no such job, e.g. after a failover to another replica, create the jobs as db_owner in "
        f"{quoted(database)}:\n"
        "    EXEC sys.sp_cdc_add_job @job_type = N'capture';\n"
        "    EXEC sys.sp_cdc_add_job @job_type = N'cleanup';"
    )


_DRIVER_LOST = "The driver did not supply an error"
"""pyodbc's message (HY000) when a connection breaks in the middle of a result."""
_TRANSIENT_STATES = ("08", "HYT00", "HYT01", "40001", "IMC")
"""SQLSTATE prefixes: link failures, timeouts, serialization failures, connections the driver failed to recover."""


def _login_failed(message: str, login: str) -> AuthError:
    hint = (
        "Check the user and password. As an administrator:\n"
        f"    ALTER LOGIN [{login or 'reader'}] WITH PASSWORD = '..', CHECK_POLICY = ON;  -- and ENABLE"
    )
    if "<token-identified principal>" in message:  # "MSSQLSERVER_18456"
        hint = (
            "If the database has no user for the identity, create one as its Microsoft Entra admin:\n"
            "    CREATE USER [name of the identity] FROM EXTERNAL PROVIDER;"
        )
    return AuthError(
        "mssql.login_failed", f"SQL Server refused the login: {message}", hint=hint, config_path=CONFIG_PATH
    )


def _unknown_database(message: str, login: str, database: str, *, connected: bool) -> DStreamError:
    if connected:  # A database that is failing over or starting also answers with 4060.
        return ReadInterrupted("mssql.interrupted", message)
    user = login or "reader"
    return AuthError(
        "mssql.unknown_database",
        f'database "{database}" does not exist or the login cannot open it: {message}',
        hint=f"If it exists, as its owner:\n    CREATE USER [{user}] FOR LOGIN [{user}];",
        config_path=CONFIG_PATH,
    )


def _not_connected(state: str, message: str, server: str, driver: str) -> DStreamError:
    lowered = message.lower()
    if "connection string attribute" in lowered or state in ("FA001", "FA003"):
        # "Using Microsoft Entra ID with the ODBC Driver": FA001 and FA003 reject combinations with Authentication.
        return ConfigError(
            "mssql.connection_string",
            f"the ODBC driver rejects the connection string: {message}",
            hint="Change the keyword in db_connection_string.",
            config_path=CONFIG_PATH,
        )
    if "certificate" in lowered or "ssl provider" in lowered or "encryption not supported" in lowered:
        return ConfigError(
            "mssql.tls",
            f"cannot establish an encrypted connection: {message}",
            hint=f"{TRUST_THE_CERTIFICATE} For a test server, use TrustServerCertificate=yes, which beyond this "
            "machine needs allow_plaintext = true.",
            config_path=CONFIG_PATH,
        )
    if state in ("IM002", "IM003", "01000") or "can't open lib" in lowered:
        return driver_missing(driver, message)
    return UnreachableError(
        "mssql.unreachable",
        f"cannot reach SQL Server at {server}: {message}",
        hint="Check the host and port in db_connection_string, the firewall, and that the server accepts TCP "
        "connections.",
        config_path=CONFIG_PATH,
    )

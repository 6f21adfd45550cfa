"""sys.databases and the dynamic management views of sessions, transactions and locks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dstream_sandbox.sqlserver.engine import clock
from dstream_sandbox.sqlserver.engine.catalog.system_views import view
from dstream_sandbox.sqlserver.engine.cdc import lsn
from dstream_sandbox.sqlserver.engine.session_settings import ISOLATION_LEVELS
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.rounding import to_datetime
from dstream_sandbox.sqlserver.engine.types.storage import pack_big, pack_guid, pack_variant
from dstream_sandbox.sqlserver.engine.version import PRODUCT_VERSION

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession

Row = tuple[Any, ...]


@view(
    "sys.databases",
    "name:n database_id:i source_database_id:i owner_sid:v create_date:d compatibility_level:t "
    "collation_name:n user_access:t "
    "user_access_desc:n is_read_only:b is_auto_close_on:b is_auto_shrink_on:b state:t state_desc:n is_in_standby:b "
    "snapshot_isolation_state:t snapshot_isolation_state_desc:n is_read_committed_snapshot_on:b "
    "recovery_model:t recovery_model_desc:n "
    "is_broker_enabled:b service_broker_guid:g log_reuse_wait_desc:n is_cdc_enabled:b is_encrypted:b "
    "is_published:b is_trustworthy_on:b "
    "replica_id:g group_database_id:g containment:t is_query_store_on:b "
    "is_accelerated_database_recovery_on:b is_ledger_on:b",
    server_wide=True,
)
def databases(session: SqlSession) -> Iterator[Row]:
    for database in session.engine.databases():
        options = database.options
        snapshot = (1, "ON") if options.allow_snapshot_isolation else (0, "OFF")
        recovery = {"FULL": 1, "BULK_LOGGED": 2, "SIMPLE": 3}.get(options.recovery_model, 1)
        yield (
            database.name, database.database_id + session.engine.platform.database_id_offset, None, b"\x01",
            options.created, options.compatibility_level,
            names.DEFAULT_COLLATION, 0,
            "MULTI_USER", 0, 0, 0, 0, "ONLINE", 0, *snapshot, int(options.read_committed_snapshot), recovery,
            options.recovery_model, 1,
            pack_guid(UUID(options.service_broker_guid)), "NOTHING", int(options.cdc_enabled), 0, 0, 0, None, None,
            0, 0, 0, 0,
        )  # fmt: skip


@view("sys.sysdatabases", "name:n dbid:s sid:v crdate:d cmptlevel:t", server_wide=True)
def sysdatabases(session: SqlSession) -> Iterator[Row]:
    for database in session.engine.databases():
        yield (
            database.name,
            database.database_id,
            b"\x01",
            database.options.created,
            database.options.compatibility_level,
        )


@view(
    "sys.dm_exec_sessions",
    "session_id:s login_time:d host_name:n program_name:n host_process_id:i client_version:i "
    "client_interface_name:n login_name:n "
    "original_login_name:n status:n cpu_time:i memory_usage:i total_elapsed_time:i "
    "last_request_start_time:d last_request_end_time:d reads:l "
    "writes:l logical_reads:l is_user_process:b text_size:i language:n date_format:n date_first:s "
    "quoted_identifier:b arithabort:b "
    "ansi_nulls:b transaction_isolation_level:s lock_timeout:i deadlock_priority:i row_count:l "
    "prev_error:i database_id:s "
    "open_transaction_count:i",
    server_wide=True,
)
def dm_exec_sessions(session: SqlSession) -> Iterator[Row]:
    everybody = session.engine.is_sysadmin(session.login)
    for other in session.engine.sessions():
        if other is not session and not everybody:
            continue
        transaction = other.transaction
        level = transaction.isolation if transaction is not None else other.settings.isolation
        started = to_datetime(other.started)
        yield (
            other.spid, started, other.host, other.app, None, 7, "ODBC", other.login, other.login, other.status, 0,
            0, 0, started, started,
            0, 0, 0, 1, other.settings.text_size, "us_english", "mdy", 7, 1, 1, 1, ISOLATION_LEVELS[level],
            other.settings.lock_timeout_ms, 0,
            other.row_count, other.last_error, other.home.database_id, other.nesting,
        )  # fmt: skip


@view(
    "sys.dm_exec_connections",
    "session_id:i connect_time:d net_transport:n protocol_type:n encrypt_option:n auth_scheme:n "
    "client_net_address:n local_net_address:n",
    server_wide=True,
)
def dm_exec_connections(session: SqlSession) -> Iterator[Row]:
    for other in session.engine.sessions():
        yield other.spid, to_datetime(other.started), "TCP", "TSQL", "TRUE", "SQL", "127.0.0.1", "127.0.0.1"


@view(
    "sys.dm_exec_requests",
    "session_id:s request_id:i start_time:d status:n command:n database_id:s blocking_session_id:s "
    "wait_type:n transaction_id:l",
    server_wide=True,
)
def dm_exec_requests(session: SqlSession) -> Iterator[Row]:
    blocked = session.engine.locks.blocked()
    for other in session.engine.sessions():
        if other.status == "sleeping":
            continue
        blocker = blocked.get(other.spid, 0)
        wait = "LCK_M_X" if blocker else None
        yield (
            other.spid,
            0,
            to_datetime(clock.now_ticks()),
            other.status,
            "BATCH",
            other.home.database_id,
            blocker,
            wait,
            other.transaction_descriptor,
        )


@view(
    "sys.dm_tran_active_transactions",
    "transaction_id:l name:n transaction_begin_time:d transaction_type:i transaction_state:i",
    server_wide=True,
)
def dm_tran_active_transactions(session: SqlSession) -> Iterator[Row]:
    for other in session.engine.sessions():
        transaction = other.transaction
        if transaction is not None:
            yield transaction.id, transaction.name or "user_transaction", to_datetime(transaction.began), 1, 2


@view(
    "sys.dm_tran_session_transactions",
    "session_id:i transaction_id:l is_user_transaction:b open_transaction_count:i",
    server_wide=True,
)
def dm_tran_session_transactions(session: SqlSession) -> Iterator[Row]:
    for other in session.engine.sessions():
        if other.transaction is not None:
            yield other.spid, other.transaction.id, 1, other.nesting


@view(
    "sys.dm_tran_current_transaction",
    "transaction_id:l transaction_sequence_num:l transaction_is_snapshot:b first_snapshot_sequence_num:l",
    needs="VIEW SERVER PERFORMANCE STATE",
)
def dm_tran_current_transaction(session: SqlSession) -> Iterator[Row]:
    transaction = session.reading_transaction
    if transaction is not None:
        yield (
            transaction.id,
            transaction.snapshot_number or 0,
            int(transaction.isolation == "SNAPSHOT"),
            transaction.snapshot_number,
        )


@view(
    "sys.dm_tran_database_transactions",
    "transaction_id:l database_id:i database_transaction_begin_time:d database_transaction_type:i "
    "database_transaction_state:i "
    "database_transaction_begin_lsn:N database_transaction_last_lsn:N database_transaction_most_recent_savepoint_lsn:N "
    "database_transaction_commit_lsn:N",
    needs="VIEW SERVER PERFORMANCE STATE",
)
def dm_tran_database_transactions(session: SqlSession) -> Iterator[Row]:
    """The savepoint's LSN is a position in the log. Materialize reads it as a fence for an exact snapshot
    (MaterializeInc/materialize#32979)."""
    for other in session.engine.sessions():
        transaction = other.transaction
        if transaction is None:
            continue
        begin = _numeric(transaction.begin_position)
        savepoint = _numeric(transaction.savepoint_position)
        last = savepoint if savepoint is not None else begin
        yield transaction.id, other.home.database_id, to_datetime(transaction.began), 1, 4, begin, last, savepoint, None


def _numeric(position: int) -> bytes | None:
    return pack_big(lsn.as_numeric(lsn.from_counter(position))) if position else None


@view(
    "sys.dm_tran_locks",
    "resource_type:n resource_database_id:i resource_associated_entity_id:l request_mode:n "
    "request_type:n request_status:n request_session_id:i",
    server_wide=True,
)
def dm_tran_locks(session: SqlSession) -> Iterator[Row]:
    kinds = {"table": "OBJECT", "row": "RID", "key": "KEY"}
    for other in session.engine.sessions():
        transaction = other.transaction
        if transaction is None:
            continue
        for resource, modes in list(transaction.held.items()):
            if isinstance(resource, tuple):
                for mode in sorted(modes):
                    yield kinds[resource[0]], other.home.database_id, resource[1], mode, "LOCK", "GRANT", other.spid


@view(
    "sys.server_principals",
    "name:n principal_id:i sid:v type:c type_desc:n is_disabled:b create_date:d default_database_name:n",
    server_wide=True,
)
def server_principals(session: SqlSession) -> Iterator[Row]:
    for number, name in enumerate(session.engine.logins(), 1):
        yield name, number, bytes([number]), "S ", "SQL_LOGIN", 0, to_datetime(session.engine.started), "master"


@view(
    "sys.configurations",
    "configuration_id:i name:n value:V minimum:V maximum:V value_in_use:V description:n is_dynamic:b is_advanced:b",
    server_wide=True,
)
def configurations(session: SqlSession) -> Iterator[Row]:
    value = pack_variant(names.INT, 65536)
    yield (
        1536,
        "max text repl size (B)",
        value,
        value,
        value,
        value,
        "Maximum size of a text field in replication.",
        1,
        0,
    )


@view("sys.dm_os_sys_info", "cpu_count:i sqlserver_start_time:d physical_memory_kb:l", server_wide=True)
def dm_os_sys_info(session: SqlSession) -> Iterator[Row]:
    yield 1, to_datetime(session.engine.started), 0


@view("sys.dm_os_host_info", "host_platform:n host_distribution:n host_release:n", server_wide=True)
def dm_os_host_info(session: SqlSession) -> Iterator[Row]:
    yield "Linux", "sandbox", PRODUCT_VERSION


@view("sys.servers", "server_id:i name:n product:n provider:n data_source:n is_linked:b", server_wide=True)
def servers(session: SqlSession) -> Iterator[Row]:
    yield 0, "SANDBOX", "SQL Server", "SQLNCLI", "SANDBOX", 0


@view(
    "sys.database_files",
    "file_id:i type:t type_desc:n name:n physical_name:n state:t state_desc:n size:i",
    server_wide=False,
)
def database_files(session: SqlSession) -> Iterator[Row]:
    yield 1, 0, "ROWS", session.home.name, f"{session.home.name}.mdf", 0, "ONLINE", 0


@view("sys.filegroups", "name:n data_space_id:i type:c type_desc:n is_default:b")
def filegroups(session: SqlSession) -> Iterator[Row]:
    yield "PRIMARY", 1, "FG", "ROWS_FILEGROUP", 1


@view(
    "sys.dm_hadr_database_replica_states",
    "database_id:i is_primary_replica:b synchronization_state:t",
    server_wide=True,
)
def dm_hadr_database_replica_states(session: SqlSession) -> Iterator[Row]:
    return iter(())


@view("sys.time_zone_info", "name:n current_utc_offset:n is_currently_dst:b", server_wide=True)
def time_zone_info(session: SqlSession) -> Iterator[Row]:
    yield "UTC", "+00:00", 0


@view("sys.syslanguages", "langid:s dateformat:n datefirst:t name:n alias:n", server_wide=True)
def syslanguages(session: SqlSession) -> Iterator[Row]:
    yield 0, "mdy", 7, "us_english", "English"

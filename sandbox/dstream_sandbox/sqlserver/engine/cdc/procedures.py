"""sys.sp_cdc_* procedures (Microsoft Learn, "Change data capture stored procedures (Transact-SQL)"; numbers and texts
of errors: "Database engine events and errors (22000 to 22999)")."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine import clock
from dstream_sandbox.sqlserver.engine.catalog import rights
from dstream_sandbox.sqlserver.engine.catalog.model import Table
from dstream_sandbox.sqlserver.engine.cdc import catalog, cleanup
from dstream_sandbox.sqlserver.engine.cdc.instances import CaptureInstance, system_table
from dstream_sandbox.sqlserver.engine.system_procedures import argument, result, text_argument
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.names import declaration
from dstream_sandbox.sqlserver.session import Event, Message, Param, SqlError

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession

CdcProcedure = Callable[["SqlSession", Sequence[Param]], Iterator[Event]]


def not_enabled(database: str) -> SqlError:
    text = (
        f"The database '{database}' is not enabled for Change Data Capture. Ensure that the correct "
        "database context is set and retry the "
        "operation. To report on the databases enabled for Change Data Capture, query the is_cdc_enabled "
        "column in the sys.databases catalog view."
    )
    return SqlError(22901, text)


def _require_enabled(session: SqlSession) -> None:
    if not session.home.options.cdc_enabled:
        raise not_enabled(session.home.name)


def _owner_only(session: SqlSession) -> None:
    if not rights.is_owner(session):
        raise SqlError(22904, "Caller is not authorized to initiate the requested action. DBO privileges are required.")


def enable_db(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
    rights.require_sysadmin(session, "sys.sp_cdc_enable_db")
    if session.home.name.lower() in ("master", "msdb", "tempdb", "model"):
        raise SqlError(
            22989,
            f"Could not enable Change Data Capture for database '{session.home.name}'. Change data capture is not "
            "supported on system databases, or on a distribution database.",
        )
    if not session.home.options.cdc_enabled:
        catalog.enable_database(session.home, clock.now_ticks())
        session.engine.capture.watch(session.home)
    yield from ()


def disable_db(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
    rights.require_sysadmin(session, "sys.sp_cdc_disable_db")
    if session.home.options.cdc_enabled:
        catalog.disable_database(session.home)
    yield from ()


def _source(session: SqlSession, params: Sequence[Param]) -> Table:
    schema, name = text_argument(params, "source_schema", 0), text_argument(params, "source_name", 1)
    found = session.home.find(schema or "", name or "")
    if not isinstance(found, Table) or found.system:
        raise SqlError(
            22931,
            f"Source table '{schema}.{name}' does not exist in the current database. Ensure that the "
            "correct database context is set. Specify a valid schema and table name for the database.",
        )
    return found


def enable_table(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
    """@source_schema, @source_name, @role_name, @capture_instance, @supports_net_changes, @index_name,
    @captured_column_list, @filegroup_name, @allow_partition_switch. @role_name has no default; NULL means no
    gating role."""
    _require_enabled(session)
    _owner_only(session)
    source = _source(session, params)
    name = text_argument(params, "capture_instance", 3) or f"{source.schema}_{source.name}"
    if len(name) > 100:
        raise SqlError(
            22927,
            f"Capture instance name '{name}' exceeds the length limit of 100 characters. Specify a name that "
            "satisfies the length constraint.",
        )
    existing = session.home.capture.of_source(source.id)
    if session.home.capture.named(name) is not None:
        raise SqlError(
            22926,
            f"Could not create a capture instance because the capture instance name '{name}' already "
            "exists in the current database. Specify an explicit unique name for the parameter @capture_instance.",
        )
    if len(existing) >= 2:
        raise SqlError(
            22962,
            f"Two capture instances already exist for source table '{source.schema}.{source.name}'. A "
            "table can have at most two capture instances. If the current tracking options are not "
            "appropriate, disable change tracking for the obsolete instance by using "
            "sys.sp_cdc_disable_table and retry the operation.",
        )
    index_name = text_argument(params, "index_name", 5)
    key, index_used = _row_key(source, index_name)
    net = argument(params, "supports_net_changes", 4, None)
    supports_net = bool(key) if net is None else bool(net)
    if supports_net and not key:
        raise SqlError(
            22939,
            "The parameter @supports_net_changes is set to 1, but the source table does not have a "
            "primary key defined and no alternate unique index has been specified.",
        )
    columns = _columns(source, text_argument(params, "captured_column_list", 6), key)
    role = text_argument(params, "role_name", 2)
    if role and not rights.role_exists(session, role):
        from dstream_sandbox.sqlserver.engine.catalog import principals

        principals.create_role(session, role)
    if session.isolation == "SNAPSHOT":  # It creates an index in a transaction ("MSSQLSERVER_3961").
        raise SqlError(
            3964,
            "Transaction failed because this DDL statement is not allowed inside a snapshot isolation transaction. "
            "Since metadata is not versioned, a metadata change can lead to inconsistency if mixed within snapshot "
            "isolation.",
        )
    session.lock_table(session.current_transaction(), source.id, "X")
    catalog.create_instance(
        session.home,
        source,
        name,
        role=role,
        index_name=index_used,
        key=key,
        columns=columns,
        net_changes=supports_net,
        now=clock.now_ticks(),
    )
    database = session.home.name
    if len(session.home.capture.instances) == 1:
        yield Message(0, 0, 1, f"Job 'cdc.{database}_capture' started successfully.")
        yield Message(0, 0, 1, f"Job 'cdc.{database}_cleanup' started successfully.")


def _row_key(source: Table, index_name: str | None) -> tuple[list[str], str | None]:
    if index_name is None:
        primary = source.primary_key
        if primary is None:
            return [], None
        return [source.column_by_id(c).name for c, _ in primary.columns], primary.name
    found = next((i for i in source.unique_indexes if i.name.lower() == index_name.lower()), None)
    if found is None:
        raise SqlError(
            22928,
            f"Index name '{index_name}' is not an index for table '{source.schema}.{source.name}'. Specify a valid "
            "index name for the table.",
        )
    return [source.column_by_id(c).name for c, _ in found.columns], found.name


def _columns(source: Table, wanted: str | None, key: list[str]) -> list[str]:
    if wanted is None:
        return [c.name for c in source.columns]
    from dstream_sandbox.sqlserver.engine.catalog.naming import split_list

    found: list[str] = []
    for name in split_list(wanted):
        column = source.column(name)
        if column is None:
            raise SqlError(
                22930,
                f"Could not locate '{name}' as a column of source table '{source.schema}.{source.name}'. Specify a "
                "valid column name.",
            )
        found.append(column.name)
    missing = [k for k in key if k not in found]
    if missing:
        raise SqlError(
            22943,
            "Columns used to uniquely identify a row for net change tracking must be included in the list of captured "
            "columns. Add either the primary key columns of the source table, or the columns defined for the index "
            "specified in the parameter @index_name to the list of captured columns and retry the operation.",
        )
    return found


def disable_table(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
    _require_enabled(session)
    _owner_only(session)
    source = _source(session, params)
    name = text_argument(params, "capture_instance", 2) or ""
    chosen = [i for i in session.home.capture.of_source(source.id) if name.lower() in ("all", i.name.lower())]
    if not chosen:
        raise SqlError(
            22960,
            f"Change data capture instance '{name}' has not been enabled for the source table "
            f"'{source.schema}.{source.name}'. Use sys.sp_cdc_help_change_data_capture to verify the "
            "capture instance name and retry the operation.",
        )
    session.lock_table(session.current_transaction(), source.id, "X")
    with session.home.writing() as connection:
        for instance in chosen:
            catalog.drop_instance(session.home, connection, instance)
    yield from ()


def help_change_data_capture(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
    _require_enabled(session)
    schema, name = text_argument(params, "source_schema", 0), text_argument(params, "source_name", 1)
    rows: list[tuple[object, ...]] = []
    table = system_table(session.home, "change_tables")
    for instance in session.home.capture.instances.values():
        source = session.home.tables.get(instance.source_id)
        if source is None or not rights.may_read_capture(session, instance):
            continue
        if (schema and source.schema.lower() != schema.lower()) or (name and source.name.lower() != name.lower()):
            continue
        start = session.connection.execute(
            f"SELECT c5 FROM {table.stored_name} WHERE c1=?", (instance.table.id,)
        ).fetchone()
        rows.append(_help_row(source, instance, start[0] if start else None))
    yield from result(_HELP, rows)


_HELP: list[tuple[str, object]] = [
    ("source_schema", names.SYSNAME),
    ("source_table", names.SYSNAME),
    ("capture_instance", names.SYSNAME),
    ("object_id", names.INT),
    ("source_object_id", names.INT),
    ("start_lsn", names.LSN),
    ("end_lsn", names.LSN),
    ("supports_net_changes", names.BIT),
    ("has_drop_pending", names.BIT),
    ("role_name", names.SYSNAME),
    ("index_name", names.SYSNAME),
    ("filegroup_name", names.SYSNAME),
    ("create_date", names.DATETIME),
    ("index_column_list", names.NVARCHAR_MAX),
    ("captured_column_list", names.NVARCHAR_MAX),
]


def _bracketed(items: Sequence[str]) -> str:
    return ", ".join(f"[{i}]" for i in items)


def _help_row(source: Table, instance: CaptureInstance, start: bytes | None) -> tuple[object, ...]:
    return (
        source.schema, source.name, instance.name, instance.table.id, source.id, start, None,
        instance.supports_net_changes, None,
        instance.role, instance.index_name, None, instance.created, _bracketed(instance.key) or None,
        _bracketed([c.name for c in instance.columns]),
    )  # fmt: skip


def help_jobs(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
    _require_enabled(session)
    from dstream_sandbox.sqlserver.engine.types.storage import unpack_guid

    table = system_table(session.home, "cdc_jobs")
    name = session.home.name
    rows = [
        (
            unpack_guid(job_id),
            kind,
            f"cdc.{name}_{kind}",
            maxtrans,
            maxscans,
            bool(continuous),
            interval,
            retention,
            threshold,
        )
        for kind, job_id, maxtrans, maxscans, continuous, interval, retention, threshold in session.connection.execute(
            f"SELECT c2,c3,c4,c5,c6,c7,c8,c9 FROM {table.stored_name}"
        )
    ]
    columns: list[tuple[str, object]] = [
        ("job_id", names.GUID), ("job_type", names.SYSNAME), ("job_name", names.SYSNAME), ("maxtrans", names.INT),
        ("maxscans", names.INT),
        ("continuous", names.BIT), ("pollinginterval", names.BIGINT), ("retention", names.BIGINT), ("threshold",
        names.BIGINT),
    ]  # fmt: skip
    yield from result(columns, rows)


_JOB_COLUMNS = {"maxtrans": 4, "maxscans": 5, "continuous": 6, "pollinginterval": 7, "retention": 8, "threshold": 9}


def change_job(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
    """sp_cdc_change_job: the cleanup job's retention takes effect; capture settings are only stored and shown."""
    _require_enabled(session)
    _owner_only(session)
    kind = (text_argument(params, "job_type", 0) or "capture").lower()
    table = system_table(session.home, "cdc_jobs")
    with session.home.writing() as connection:
        for position, (name, column) in enumerate(_JOB_COLUMNS.items(), 1):
            value = argument(params, name, position)
            if value is not None:
                connection.execute(f"UPDATE t{table.id} SET c{column}=? WHERE c2=?", (int(str(value)), kind))
    yield from ()


def _job(running: bool) -> CdcProcedure:
    def procedure(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
        _require_enabled(session)
        _owner_only(session)
        kind = (text_argument(params, "job_type", 0) or "capture").lower()
        if kind == "capture":
            session.engine.capture.set_running(session.home, running)
        elif running:
            cleanup.run_retention(session.home, clock.now_ticks())
        yield from ()

    return procedure


def _change_jobs(add: bool) -> CdcProcedure:
    def procedure(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
        _require_enabled(session)
        _owner_only(session)
        kind = (text_argument(params, "job_type", 0) or "").lower()
        if kind not in ("capture", "cleanup"):
            raise SqlError(22992, f"The specified @job_type, {kind}, is not supported.")
        with session.home.writing() as connection:
            (catalog.add_job if add else catalog.drop_job)(session.home, connection, kind)
        if kind == "capture":
            session.engine.capture.set_running(session.home, add)
        yield from ()

    return procedure


def get_captured_columns(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
    _require_enabled(session)
    instance = _instance(session, params)
    source = session.home.tables.get(instance.source_id)
    rows = [
        (
            source.schema if source else None, source.name if source else None, instance.name, c.name, c.source_id,
            declaration(c.type).split("(")[0], c.ordinal, c.type.length, c.type.precision, c.type.scale,
        )
        for c in instance.columns
    ]  # fmt: skip
    columns: list[tuple[str, object]] = [
        ("source_schema", names.SYSNAME), ("source_table", names.SYSNAME), ("capture_instance", names.SYSNAME),
        ("column_name", names.SYSNAME),
        ("column_id", names.INT), ("data_type", names.SYSNAME), ("ordinal_position", names.INT),
        ("character_maximum_length", names.INT),
        ("numeric_precision", names.INT), ("numeric_scale", names.INT),
    ]  # fmt: skip
    yield from result(columns, rows)


def get_ddl_history(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
    _require_enabled(session)
    instance = _instance(session, params)
    source = session.home.tables.get(instance.source_id)
    table = system_table(session.home, "ddl_history")
    rows = [
        (
            source.schema if source else None,
            source.name if source else None,
            instance.name,
            bool(required),
            command,
            position,
            when,
        )
        for required, command, position, when in session.connection.execute(
            f"SELECT c3,c4,c5,c6 FROM {table.stored_name} WHERE c2=? ORDER BY c5", (instance.table.id,)
        )
    ]
    columns: list[tuple[str, object]] = [
        ("source_schema", names.SYSNAME), ("source_table", names.SYSNAME), ("capture_instance", names.SYSNAME),
        ("required_column_update", names.BIT), ("ddl_command", names.NVARCHAR_MAX), ("ddl_lsn", names.LSN),
        ("ddl_time", names.DATETIME),
    ]  # fmt: skip
    yield from result(columns, rows)


def _instance(session: SqlSession, params: Sequence[Param]) -> CaptureInstance:
    name = text_argument(params, "capture_instance", 0) or ""
    found = session.home.capture.named(name)
    if found is None:
        raise SqlError(
            22963, f"Parameter @capture_instance: the capture instance '{name}' is not valid for the current database."
        )
    return found


def cleanup_change_table(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
    """@capture_instance, @low_water_mark, @threshold."""
    _require_enabled(session)
    _owner_only(session)
    instance = _instance(session, params)
    mark = argument(params, "low_water_mark", 1)
    if mark is not None and not isinstance(mark, bytes):
        raise SqlError(22964, "The value specified for the parameter @low_water_mark is not a binary(10) LSN.")
    cleanup.cleanup(session.home, instance, mark, int(str(argument(params, "threshold", 2, 5000))))
    yield from ()


def scan(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
    """sp_cdc_scan: capture everything committed, even if the job is stopped."""
    _require_enabled(session)
    session.engine.capture.publish(session.home)
    yield from ()


CDC_PROCEDURES: dict[str, CdcProcedure] = {
    "sp_cdc_enable_db": enable_db,
    "sp_cdc_disable_db": disable_db,
    "sp_cdc_enable_table": enable_table,
    "sp_cdc_disable_table": disable_table,
    "sp_cdc_help_change_data_capture": help_change_data_capture,
    "sp_cdc_help_jobs": help_jobs,
    "sp_cdc_change_job": change_job,
    "sp_cdc_add_job": _change_jobs(True),
    "sp_cdc_drop_job": _change_jobs(False),
    "sp_cdc_start_job": _job(True),
    "sp_cdc_stop_job": _job(False),
    "sp_cdc_get_captured_columns": get_captured_columns,
    "sp_cdc_get_ddl_history": get_ddl_history,
    "sp_cdc_cleanup_change_table": cleanup_change_table,
    "sp_cdc_scan": scan,
}

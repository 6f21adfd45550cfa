"""The typed settings of mssql_cdc. `checked` validates what their types cannot express."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from dstream.sdk import Duration, Secret, Size, identifier
from dstream.sdk.errors import ConfigError
from dstream_mssql_cdc.position import parse_lsn

OperationName = Literal["insert", "update", "delete"]
ALL_OPERATIONS: tuple[OperationName, ...] = ("insert", "update", "delete")
Credential = Literal["default", "managed_identity", "workload_identity", "client_secret", "cli"]
TablePattern = Annotated[str, Meta(min_length=1)]


class LockConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A setting of the original DStream. The host holds the lock while the task runs; this provider only checks it."""

    type: Annotated[
        Literal["none", "azure_blob"],
        Meta(description="azure_blob: also lock the task in a container of Azure Blob Storage"),
    ] = "none"
    connection_string: Annotated[Secret[str] | None, Meta(description="of the storage account")] = None
    container_name: Annotated[str | None, identifier(), Meta(description="created if it does not exist")] = None


class ColumnChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which columns of a table to read, by default all captured ones, and whose values to hide."""

    include: list[str] | None = None
    exclude: list[str] = []
    hash: Annotated[list[str], Meta(description="columns whose values are replaced by a keyed hash")] = []
    redact: Annotated[list[str], Meta(description='columns whose values are replaced by "***"')] = []


class SnapshotConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the rows that tables already have are read."""

    mode: Annotated[
        Literal["chunked", "fenced"],
        Meta(description="chunked: resumable, while changes are streamed; fenced: all rows as of one LSN, in one pass"),
    ] = "chunked"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the input provider mssql_cdc."""

    db_connection_string: Annotated[
        Secret[str],
        Meta(description="ODBC, ADO.NET or JDBC connection string, or sqlserver:// URL"),
    ]
    tables: Annotated[
        list[TablePattern],
        Meta(min_length=1, description='tables to read: "schema.table", "table" (in dbo), "schema.*" or "*.*"'),
        identifier(),
    ]
    exclude_tables: Annotated[
        list[TablePattern],
        Meta(description='tables that patterns in `tables` do not select, as names or "schema.*"'),
        identifier(),
    ] = []
    start_from: Annotated[
        str | None,
        Meta(
            description="where to start without a checkpoint: earliest (default), latest, snapshot (the tables' rows, "
            "then changes), an LSN or a time"
        ),
    ] = None
    snapshot: SnapshotConfig = SnapshotConfig()
    credential: Annotated[
        Credential | None, Meta(description="how to sign in to Entra ID, if the connection string has no login")
    ] = None
    tenant_id: Annotated[str | None, identifier()] = None
    client_id: Annotated[str | None, identifier()] = None
    client_secret: Secret[str] | None = None
    poll_interval: Duration = Duration("1s")
    max_poll_interval: Annotated[
        Duration, Meta(description="longest interval between polls while there are no changes")
    ] = Duration("2s")
    query_timeout: Annotated[Duration, Meta(description="how long a query may take before it is retried")] = Duration(
        "2m"
    )
    before_images: Annotated[bool, Meta(description="include the row's values before an update")] = True
    columns: Annotated[
        dict[str, ColumnChoice], Meta(description="columns to include, exclude, hash or redact, by table")
    ] = {}
    time_zone: Annotated[
        str | None,
        Meta(description="the server's time zone, for servers older than SQL Server 2022, which cannot report it"),
    ] = None
    hash_key: Annotated[Secret[str] | None, Meta(description="key for the columns to hash")] = None
    skip_unchanged: Annotated[bool, Meta(description="skip updates that set none of the columns read")] = False
    net_changes: Annotated[
        bool, Meta(description="one row for all changes that a key has between two polls, instead of each change")
    ] = False
    schema_records: Annotated[
        bool, Meta(description="write a line with a table's columns before its first row, and whenever they change")
    ] = False
    operations: Annotated[tuple[OperationName, ...], Meta(min_length=1)] = ALL_OPERATIONS
    max_bytes_per_poll: Annotated[Size, Meta(description="memory for rows read at a time, shared by all tables")] = (
        Size("32MiB")
    )
    on_gap: Annotated[
        Literal["fail", "continue", "resnapshot"],
        Meta(description="what to do when cleanup has removed unread changes"),
    ] = "fail"
    on_table_change: Annotated[
        Literal["fail", "skip", "resnapshot"],
        Meta(description="what to do when a table or its capture instance was dropped, re-created or renamed away"),
    ] = "fail"
    manage_capture_instances: Annotated[
        bool,
        Meta(description="create and drop capture instances as tables and their columns are added; needs db_owner"),
    ] = False
    decimal: Annotated[Literal["string", "number"], Meta(description="JSON form of decimal, numeric and money")] = (
        "string"
    )
    binary: Annotated[Literal["base64", "hex"], Meta(description="JSON form of binary, varbinary and image")] = "base64"
    read_only_intent: Annotated[bool, Meta(description="connect to a readable secondary replica")] = False
    odbc_driver: Annotated[
        str | None,
        Meta(description="driver name or path; default: the driver installed with this provider"),
        identifier(),
    ] = None
    allow_plaintext: Annotated[
        bool,
        Meta(description="allow Encrypt=no or TrustServerCertificate=yes in the connection string to another machine"),
    ] = False
    accept_changed_source: Annotated[
        bool,
        Meta(description="continue even if the database or a capture instance differs from the checkpoint's"),
    ] = False
    lock_config: LockConfig = LockConfig()


class Start(msgspec.Struct, frozen=True):
    """Where a run without a checkpoint starts."""

    kind: Literal["earliest", "latest", "snapshot", "lsn", "time", "cdc_offsets"]
    lsn: bytes = b""
    time: str = ""


def checked(config: Config) -> Config:
    """Return the config. Raises ConfigError for what the types cannot express."""
    if config.max_poll_interval < config.poll_interval:
        raise ConfigError(
            "mssql.poll_interval", "max_poll_interval is shorter than poll_interval", config_path="max_poll_interval"
        )
    if config.poll_interval <= 0:
        raise ConfigError("mssql.poll_interval", "poll_interval must be longer than 0", config_path="poll_interval")
    if config.query_timeout < 1:
        raise ConfigError("mssql.query_timeout", "query_timeout must be at least 1s", config_path="query_timeout")
    if config.max_bytes_per_poll < 64 * 1024:
        raise ConfigError(
            "mssql.max_bytes", "max_bytes_per_poll must be at least 64KiB", config_path="max_bytes_per_poll"
        )
    lock = config.lock_config
    required = {
        "connection_string": lock.connection_string and lock.connection_string.reveal(),
        "container_name": lock.container_name,
    }
    for name, value in required.items():
        if lock.type == "azure_blob" and not value:
            raise ConfigError(
                "mssql.lock_config",
                f'a lock_config of type "azure_blob" requires {name}',
                config_path=f"lock_config.{name}",
            )
    if config.manage_capture_instances and config.read_only_intent:
        raise ConfigError(
            "mssql.manage_capture_instances",
            "capture instances cannot be managed through a readable secondary",
            hint="Remove read_only_intent or manage_capture_instances.",
            config_path="manage_capture_instances",
        )
    for name, choice in config.columns.items():
        if choice.hash and not (config.hash_key and config.hash_key.reveal()):
            raise ConfigError(
                "mssql.hash_key",
                "hash requires hash_key",
                hint="Set hash_key to a random secret, e.g. the output of `openssl rand -hex 32`.",
                config_path=f'columns["{name}"].hash',
            )
    return config


def parse_start(text: str, config_path: str = "start_from") -> Start:
    """Parse `start_from` (or the host's --from). Raises ConfigError."""
    if text in ("earliest", "latest", "snapshot", "cdc_offsets"):
        return Start(text)  # type: ignore[arg-type]  # narrowed by the comparison
    lsn = parse_lsn(text)
    if lsn is not None:
        return Start("lsn", lsn=lsn)
    if (match := _TIME.fullmatch(text)) and _is_time(text):
        day, minute, second, offset = match.groups()
        # "CAST and CONVERT": style 126 needs every element of a time.
        return Start("time", time=f"{day}T{minute or '00:00'}{second or ':00'}{offset or ''}")
    raise ConfigError(
        "mssql.start_from",
        f'invalid start position "{text}"',
        hint="Use earliest, latest, snapshot, cdc_offsets, an LSN (20 hex digits) or a time, e.g. 2024-02-29T23:59:59 "
        "(the server's local time) or 2024-02-29T23:59:59+02:00.",
        config_path=config_path,
    )


_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)?)?")


def has_offset(time: str) -> bool:
    """Whether the time of a Start names its offset from UTC."""
    return datetime.fromisoformat(time).tzinfo is not None


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True

"""The settings of mssql_cdc, typed; what only another setting can tell is checked by `checked`."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from dstream.sdk import Duration, Secret, Size
from dstream.sdk.errors import ConfigError
from dstream_mssql_cdc.position import parse_lsn

OperationName = Literal["insert", "update", "delete"]
TablePattern = Annotated[str, Meta(min_length=1)]


class LockConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The original's setting. DStream's host keeps one runner per task by the lease of the task's state."""

    type: Literal["none"] = "none"


class ColumnChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which columns of a table are read; by default all that are captured."""

    include: list[str] | None = None
    exclude: list[str] = []


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the input provider mssql_cdc."""

    db_connection_string: Annotated[
        Secret[str], Meta(description='ODBC string, "server=..;user id=..;password=..;database=.." or sqlserver:// URL')
    ]
    tables: Annotated[
        list[TablePattern], Meta(min_length=1, description='"schema.table", "table" (means dbo) or "schema.*"')
    ]
    start_from: Annotated[
        str | None,
        Meta(description="where the first run begins: earliest (default), latest, an LSN, a time of the server"),
    ] = None
    poll_interval: Duration = Duration("1s")
    max_poll_interval: Annotated[Duration, Meta(description="polls slow down to this while nothing happens")] = (
        Duration("30s")
    )
    before_images: Annotated[bool, Meta(description="updates carry the row as it was")] = True
    columns: Annotated[dict[str, ColumnChoice], Meta(description="columns to include or exclude, by table")] = {}
    operations: Annotated[tuple[OperationName, ...], Meta(min_length=1)] = ("insert", "update", "delete")
    max_bytes_per_poll: Annotated[Size, Meta(description="rows held in memory at a time, shared by the tables")] = Size(
        "32MiB"
    )
    on_gap: Annotated[
        Literal["fail", "continue", "resnapshot"],
        Meta(description="when cleanup removed changes that were not read yet"),
    ] = "fail"
    decimal: Annotated[Literal["string", "number"], Meta(description="JSON form of decimal, numeric and money")] = (
        "string"
    )
    binary: Annotated[Literal["base64", "hex"], Meta(description="JSON form of binary, varbinary and image")] = "base64"
    read_only_intent: Annotated[bool, Meta(description="connect to a readable secondary")] = False
    odbc_driver: Annotated[
        str | None, Meta(description="name or path; by default the one that is installed with DStream")
    ] = None
    accept_changed_source: Annotated[
        bool, Meta(description="go on although the database or a capture instance is not the one of the checkpoint")
    ] = False
    lock_config: LockConfig = LockConfig()


class Start(msgspec.Struct, frozen=True):
    """Where a run without a checkpoint begins."""

    kind: Literal["earliest", "latest", "lsn", "time"]
    lsn: bytes = b""
    time: str = ""


def checked(config: Config) -> Config:
    """The config itself. Raises ConfigError for what the types can't say."""
    if config.max_poll_interval < config.poll_interval:
        raise ConfigError(
            "mssql.poll_interval", "max_poll_interval is shorter than poll_interval", config_path="max_poll_interval"
        )
    if config.poll_interval <= 0:
        raise ConfigError("mssql.poll_interval", "poll_interval must be longer than 0", config_path="poll_interval")
    if config.max_bytes_per_poll < 64 * 1024:
        raise ConfigError(
            "mssql.max_bytes", "max_bytes_per_poll must be at least 64KiB", config_path="max_bytes_per_poll"
        )
    if config.on_gap == "resnapshot":
        raise ConfigError(
            "mssql.snapshot_unsupported",
            "this version can't take snapshots, so on_gap can't be resnapshot",
            hint='Use on_gap = "fail" or "continue".',
            config_path="on_gap",
        )
    return config


def parse_start(text: str, config_path: str = "start_from") -> Start:
    """`start_from` (or the host's --from) as a value. Raises ConfigError."""
    if text in ("earliest", "latest"):
        return Start(text)  # type: ignore[arg-type]  # narrowed by the comparison
    if text == "snapshot":
        raise ConfigError(
            "mssql.snapshot_unsupported",
            "this version can't take snapshots",
            hint="Start from earliest, latest, an LSN or a time.",
            config_path=config_path,
        )
    lsn = parse_lsn(text)
    if lsn is not None:
        return Start("lsn", lsn=lsn)
    if _TIME.fullmatch(text) and _is_time(text):
        return Start("time", time=text.replace(" ", "T"))
    raise ConfigError(
        "mssql.start_from",
        f'"{text}" is no place to start from',
        hint="Write earliest, latest, an LSN (20 hex digits) or a time of the server without zone, such as "
        "2024-02-29T23:59:59.",
        config_path=config_path,
    )


_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)?")


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True

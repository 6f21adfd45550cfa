"""The registry of system views: name, columns, and the function that computes the rows for a session."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from dstream_sandbox.sqlserver.engine.binder.environment import SystemView
from dstream_sandbox.sqlserver.engine.catalog import rights
from dstream_sandbox.sqlserver.engine.catalog.type_ids import TYPE_IDS
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.values import MAX, SqlType

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession

RowsOf = Callable[["SqlSession"], Iterable[Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class _Entry:
    view: SystemView
    rows: RowsOf
    catalog_only: bool
    server_wide: bool
    needs: str


_ENTRIES: dict[str, _Entry] = {}
_SHORT = {
    "i": names.INT, "s": names.SMALLINT, "t": names.TINYINT, "b": names.BIT, "n": names.SYSNAME, "l": names.BIGINT,
    "d": names.DATETIME,
    "g": names.GUID, "x": names.NVARCHAR_MAX, "v": SqlType("varbinary", 85), "c": SqlType("char", 2,
    collation=names.DEFAULT_COLLATION),
    "N": SqlType("numeric", None, 25, 0), "V": names.VARIANT, "L": names.LSN, "o": names.DATETIMEOFFSET,
    "f": names.FLOAT,
}  # fmt: skip


def view(
    name: str, columns: str, *, catalog_only: bool = False, server_wide: bool = False, needs: str = ""
) -> Callable[[RowsOf], RowsOf]:
    """Register a view. `columns` is `name:type ...` with the one-letter types above. `catalog_only` rows depend only on
    the catalog and the login; `server_wide` views are the same in every database. `needs`: the permission to read it.
    """
    parsed = tuple((part.rsplit(":", 1)[0], _SHORT[part.rsplit(":", 1)[1]]) for part in columns.split())

    def add(rows: RowsOf) -> RowsOf:
        _ENTRIES[name.lower()] = _Entry(SystemView(name, parsed), rows, catalog_only, server_wide, needs)
        return rows

    return add


def find(schema: str, name: str, database: str = "") -> SystemView | None:
    """Return a view by schema and name, in sys, INFORMATION_SCHEMA or msdb; None if there is none."""
    _load()
    full = f"{schema.lower()}.{name.lower()}"
    if database.lower() == "msdb" and full.startswith("dbo."):
        full = f"msdb.{full}"
    entry = _ENTRIES.get(full)
    return entry.view if entry is not None else None


def require(session: SqlSession, view_: SystemView) -> None:
    """Raise 229, 262 or 300 if the session lacks the permission that the view needs."""
    needs = _ENTRIES[view_.name.lower()].needs
    if needs == "SELECT":
        rights.require_in_msdb(session, view_.name.rpartition(".")[2])
    elif needs:
        rights.require_state(session, needs)


@cache
def _load() -> None:
    """Register all views. A thread that comes while another one imports them waits for it."""
    from dstream_sandbox.sqlserver.engine.catalog import (  # noqa: F401  # they register themselves
        agent_views,
        cdc_views,
        constraint_views,
        information_schema,
        object_views,
        server_views,
    )


def is_server_wide(view_: SystemView) -> bool:
    return _ENTRIES[view_.name.lower()].server_wide


def version_of(session: SqlSession, view_: SystemView) -> object | None:
    """Return a value that is equal as long as computed rows stay valid; None if they must be computed every time."""
    if not _ENTRIES[view_.name.lower()].catalog_only:
        return None
    return (session.home.name, session.home.version, session.temp_version, session.login)


def rows_of(session: SqlSession, view_: SystemView) -> Iterable[Sequence[Any]]:
    return _ENTRIES[view_.name.lower()].rows(session)


def object_id_of(view_: SystemView) -> int:
    _load()
    return -(sorted(_ENTRIES).index(view_.name.lower()) + 101)


def all_views() -> list[SystemView]:
    """Return the views that every database has."""
    _load()
    return [e.view for e in _ENTRIES.values() if not e.view.name.startswith("msdb.")]


def catalog_type(type_: SqlType) -> tuple[int, int]:
    """Return system_type_id and user_type_id."""
    system, user, _ = TYPE_IDS["timestamp" if type_.name == "rowversion" else type_.name]
    return system, user


def max_length(type_: SqlType) -> int:
    """Return max_length as in sys.columns: bytes, -1 for (max) and xml, 16 for the legacy LOBs."""
    name = "timestamp" if type_.name == "rowversion" else type_.name
    if name in names.LEGACY_LOBS:
        return 16
    if type_.length == MAX or name == "xml":
        return -1
    if name in ("nchar", "nvarchar"):
        return 2 * (type_.length or 1)
    if name in ("char", "varchar", "binary", "varbinary"):
        return type_.length or 1
    if name in names.DECIMALS:
        precision = type_.precision or 18
        return 5 if precision < 10 else 9 if precision < 20 else 13 if precision < 29 else 17
    if name in ("time", "datetime2", "datetimeoffset"):
        scale = 7 if type_.scale is None else type_.scale
        return {"time": 3, "datetime2": 6, "datetimeoffset": 8}[name] + (0 if scale < 3 else 1 if scale < 5 else 2)
    return TYPE_IDS[name][2]


_PRECISION = {
    "tinyint": 3, "smallint": 5, "int": 10, "bigint": 19, "bit": 1, "money": 19, "smallmoney": 10, "float": 53,
    "real": 24, "date": 10,
    "datetime": 23, "smalldatetime": 16,
}  # fmt: skip
_SCALE = {"money": 4, "smallmoney": 4, "datetime": 3}
_TIME_PRECISION = {"time": 8, "datetime2": 19, "datetimeoffset": 26}


def precision(type_: SqlType) -> int:
    """Return precision as in sys.columns."""
    if type_.name in names.DECIMALS:
        return type_.precision or 18
    if type_.name in _TIME_PRECISION:
        scale = 7 if type_.scale is None else type_.scale
        return _TIME_PRECISION[type_.name] + (scale + 1 if scale else 0)
    return _PRECISION.get(type_.name, 0)


def scale(type_: SqlType) -> int:
    if type_.name in _TIME_PRECISION:
        return 7 if type_.scale is None else type_.scale
    return (type_.scale or 0) if type_.name in names.DECIMALS else _SCALE.get(type_.name, 0)

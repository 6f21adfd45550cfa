"""Answers of SERVERPROPERTY and similar functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.storage import pack_variant
from dstream_sandbox.sqlserver.engine.version import PRODUCT_VERSION

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession


_SERVER: dict[str, tuple[object, Any]] = {
    "productlevel": (names.SYSNAME, "RTM"),
    "productmajorversion": (names.SYSNAME, "16"),
    "productminorversion": (names.SYSNAME, "0"),
    "productbuild": (names.SYSNAME, PRODUCT_VERSION.split(".")[2]),
    "productupdatelevel": (names.SYSNAME, "CU16"),
    "editionid": (names.BIGINT, -2117995310),
    "servername": (names.SYSNAME, "SANDBOX"),
    "machinename": (names.SYSNAME, "SANDBOX"),
    "computernamephysicalnetbios": (names.SYSNAME, "SANDBOX"),
    "instancename": (names.SYSNAME, None),
    "collation": (names.SYSNAME, names.DEFAULT_COLLATION),
    "sqlcharsetname": (names.SYSNAME, "iso_1"),
    "lcid": (names.INT, 1033),
    "comparisonstyle": (names.INT, 196609),
    "isclustered": (names.INT, 0),
    "ishadrenabled": (names.INT, 0),
    "isfulltextinstalled": (names.INT, 0),
    "isintegratedsecurityonly": (names.INT, 0),
    "issingleuser": (names.INT, 0),
    "isxtpsupported": (names.INT, 0),
    "ispolybaseinstalled": (names.INT, 0),
    "processid": (names.INT, 1),
    "licensetype": (names.SYSNAME, "DISABLED"),
    "resourceversion": (names.SYSNAME, PRODUCT_VERSION),
}


def _variant(entry: tuple[object, Any] | None) -> str | None:
    if entry is None or entry[1] is None:
        return None
    return pack_variant(entry[0], entry[1])  # type: ignore[arg-type]  # a SqlType


def _server_property(session: SqlSession, name: str | None) -> str | None:
    platform = session.engine.platform
    own: dict[str, tuple[object, Any]] = {
        "productversion": (names.SYSNAME, platform.version),
        "edition": (names.SYSNAME, platform.edition),
        "engineedition": (names.INT, platform.engine_edition),
    }
    wanted = (name or "").lower()
    return _variant(own.get(wanted) or _SERVER.get(wanted))


def _session_property(session: SqlSession, name: str | None) -> str | None:
    known = {
        "ansi_nulls": 1, "ansi_padding": 1, "ansi_warnings": 1, "arithabort": 1, "concat_null_yields_null": 1,
        "numeric_roundabort": 0,
        "quoted_identifier": 1,
    }  # fmt: skip
    value = known.get((name or "").lower())
    return None if value is None else pack_variant(names.INT, value)


def _database_property(session: SqlSession, database: str | None, name: str | None) -> str | None:
    found = session.engine.database(database or "")
    if found is None:
        return None
    known: dict[str, tuple[object, Any]] = {
        "collation": (names.SYSNAME, names.DEFAULT_COLLATION),
        "status": (names.SYSNAME, "ONLINE"),
        "updateability": (names.SYSNAME, "READ_ONLY" if found.options.read_only else "READ_WRITE"),
        "useraccess": (names.SYSNAME, "MULTI_USER"),
        "recovery": (names.SYSNAME, found.options.recovery_model),
        "version": (names.INT, 957),
        "edition": (names.SYSNAME, None),
        "lcid": (names.INT, 1033),
        "sqlsortorder": (names.TINYINT, 52),
        "isinstandby": (names.INT, 0),
    }
    return _variant(known.get((name or "").lower()))


def _connection_property(session: SqlSession, name: str | None) -> str | None:
    known: dict[str, tuple[object, Any]] = {
        "net_transport": (names.SYSNAME, "TCP"),
        "protocol_type": (names.SYSNAME, "TSQL"),
        "auth_scheme": (names.SYSNAME, "SQL"),
        "local_net_address": (names.SYSNAME, "127.0.0.1"),
        "client_net_address": (names.SYSNAME, "127.0.0.1"),
    }
    return _variant(known.get((name or "").lower()))


def _collation_property(session: SqlSession, name: str | None, wanted: str | None) -> str | None:
    known = {"codepage": 1252, "lcid": 1033, "comparisonstyle": 196609, "version": 0}
    value = known.get((wanted or "").lower())
    return None if value is None or not name else pack_variant(names.INT, value)

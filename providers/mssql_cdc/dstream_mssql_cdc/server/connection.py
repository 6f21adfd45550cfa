"""Opens pyodbc connections that return the same values with every driver and locale."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dstream.odbc import find_driver, load_pyodbc
from dstream_mssql_cdc import errors
from dstream_mssql_cdc.server import sql
from dstream_mssql_cdc.server.connection_string import ConnectionSettings

if TYPE_CHECKING:
    import pyodbc

    from dstream_mssql_cdc.server.entra import SignIn


def connect(
    settings: ConnectionSettings,
    *,
    driver: str | None,
    read_only: bool,
    login_timeout_s: int,
    query_timeout_s: int,
    connected_before: bool = False,
    sign_in: SignIn | None = None,
) -> pyodbc.Connection:
    """Open a connection in autocommit mode: an open transaction would freeze the view of a readable secondary. Raises
    AuthError, ConfigError, UnreachableError, or ReadInterrupted if `connected_before`."""
    load_pyodbc()
    import pyodbc

    keywords: dict[str, str] = {}
    if not settings.get("DSN"):
        keywords["DRIVER"] = driver or _named_driver(settings) or find_driver()
        if not settings.get("Encrypt"):
            keywords["Encrypt"] = "yes"  # the default since driver 18; older ones do not encrypt without it
    if read_only:
        keywords["ApplicationIntent"] = "ReadOnly"
    if not settings.get("ConnectRetryCount"):
        # "Connection resiliency in the ODBC driver": by default, the driver silently reconnects an idle connection,
        # possibly to another replica, so a failover in the middle of a window would go unnoticed.
        keywords["ConnectRetryCount"] = "0"
    if not settings.get("APP"):
        keywords["APP"] = "dstream"
    attributes = sign_in.attributes(connected_before=connected_before) if sign_in else {}
    try:
        connection = pyodbc.connect(
            settings.odbc(**keywords), autocommit=True, timeout=login_timeout_s, attrs_before=attributes
        )
        connection.timeout = query_timeout_s
        # Get varchar as UTF-16: as bytes, it would depend on the code page of the process's locale.
        connection.setdecoding(pyodbc.SQL_CHAR, encoding="utf-16le", ctype=pyodbc.SQL_WCHAR)
        connection.setdecoding(pyodbc.SQL_WCHAR, encoding="utf-16le", ctype=pyodbc.SQL_WCHAR)
        connection.execute(sql.SESSION).close()
    except pyodbc.Error as error:
        raise errors.translate(
            error,
            driver=keywords.get("DRIVER", ""),
            server=settings.get("SERVER"),
            login=settings.get("UID"),
            database=settings.get("DATABASE"),
            connected=connected_before,
        ) from error
    return connection


def _named_driver(settings: ConnectionSettings) -> str:
    """The driver named in the connection string; empty for Microsoft's, since the installed version is used."""
    named = settings.get("DRIVER")
    return "" if re.fullmatch(r"ODBC Driver \d+ for SQL Server", named) else named

"""Finds Microsoft's ODBC driver, loads pyodbc, and tells which connection strings are unprotected, and which errors of
SQL Server are transient."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from dstream.errors import SystemFault
from dstream.loopback import is_loopback

_INSTALLED_DRIVER = "ODBC Driver 18 for SQL Server"
_LOCAL = (".", "(local)", "(localdb)")
"""Other names of this machine ("DSN and Connection String Keywords and Attributes", Server)."""
_OFF = ("no", "optional", "false", "0")
_ON = ("yes", "true", "1")

_CONFLICTS = (1203, 1205, 1221, 1222, 3948, 3950, 3952, 3953, 3957, 3960, 3961, 3966)
"""Deadlock victim, lock timeout, snapshot isolation no longer allowed, snapshot conflicts, row versions removed."""
_LINK_LOST = (596, 6005, 233, 64, 20, 121, 10053, 10054, 10060, 10061, 11001)
"""The session or connection ended: killed, shut down, reset by the network."""
_NOT_NOW = (
    *(615, 921, 922, 924, 926, 927, 941, 952, 976, 978, 979, 982, 983, 988),
    *(3947, 4221, 9001, 17142, 17147, 17148, 17197, 18401),
)
"""The server or the database is starting, failing over, restoring, or the replica's role does not allow the intent."""
_RESOURCES = (617, 669, 701, 802, 1204, 8628, 8645, 8651, 10922)
"""Out of memory, memory grants or locks; the server asks to rerun the statement."""
_AZURE = (40197, 40501, 40540, 40613, 42108, 42109, 49918, 49919, 49920, 10928, 10929, 10930, 10936)
"""Azure SQL Database: reconfiguring, throttling, temporarily unavailable."""
TRANSIENT_ERRORS = frozenset([*_CONFLICTS, *_LINK_LOST, *_NOT_NOW, *_RESOURCES, *_AZURE])
"""The numbers of SQL Server's errors that a retry may overcome: Microsoft, "Database engine events and errors" and
"Troubleshoot transient connection errors in SQL Database"; the retry lists of Microsoft.Data.SqlClient and Entity
Framework Core (SqlServerTransientExceptionDetector)."""


def find_driver() -> str:
    """The path of the driver in the package mssql-python-odbc, or else the name of the registered driver."""
    try:
        import mssql_python_odbc
    except ImportError:
        return _INSTALLED_DRIVER
    folder = Path(mssql_python_odbc.get_libs_dir())
    machine = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
    if sys.platform == "darwin":
        found = sorted(folder.glob(f"macos/{machine}/**/libmsodbcsql*.dylib"))
    else:
        found = sorted(folder.glob(f"linux/{_distribution()}/{machine}/**/libmsodbcsql*.so*"))
    return str(found[0]) if found else _INSTALLED_DRIVER


def _distribution() -> str:
    """The wheel's folder for this Linux distribution, based on ID and ID_LIKE of os-release(5)."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    family = f"{release.get('ID', '')} {release.get('ID_LIKE', '')}".split()
    if {"alpine"} & set(family):
        return "alpine"
    if {"rhel", "fedora", "centos"} & set(family):
        return "rhel"
    if {"suse", "sles", "opensuse"} & set(family):
        return "suse"
    return "debian_ubuntu"


def load_pyodbc() -> None:
    """Import pyodbc and disable its connection pool. Raises SystemFault `mssql.odbc_manager_missing`."""
    try:
        import pyodbc
    except ImportError as error:
        raise SystemFault(
            "mssql.odbc_manager_missing",
            f"cannot load pyodbc: {error}",
            hint="Install unixODBC. On Debian and Ubuntu: apt-get install libodbc2",
        ) from error
    pyodbc.pooling = False  # The pool would hand out broken connections.


def unprotected_because(servers: Sequence[str], encrypt: str, trust_server_certificate: str) -> str:
    """Return what is unprotected on the way to another machine, and why; "" if nothing is.

    The arguments are values of the connection string. Encryption is the default; Encrypt=strict ignores
    TrustServerCertificate ("DSN and Connection String Keywords and Attributes").
    """
    hosts = [_host(each) for each in servers if each]
    if hosts and all(is_loopback(each) or each in _LOCAL for each in hosts):
        return ""
    encrypt = encrypt.strip(" {}").lower()
    if encrypt in _OFF:
        return f"nothing is encrypted (Encrypt={encrypt})"
    if encrypt != "strict" and trust_server_certificate.strip(" {}").lower() in _ON:
        return "the server's certificate is not verified (TrustServerCertificate=yes)"
    return ""


def numbers_of(text: str) -> list[int]:
    """The error numbers in a driver's message: `..[SQL Server]Cannot open database "x".. (4060) (SQLDriverConnect)`.
    Names in it can have numbers in parentheses, too."""
    return [int(number) for number in re.findall(r"\((-?\d{1,5})\)(?= \(SQL|; \[|$)", text)]


def plain_message(text: str) -> str:
    """The first message of the text, without the driver's brackets and function names."""
    first = re.split(r"; \[\w{5}\]", text)[0]
    first = re.sub(r"^(?:\[[^\]]*\]\s*)+", "", first)
    return re.sub(r"(\s*\((SQL\w+|0)\))+\s*$", "", first).strip()


def _host(server: str) -> str:
    """`db` of `tcp:db\\INSTANCE,1433`."""
    server = server.strip().lower()
    for protocol in ("tcp:", "np:", "lpc:", "admin:"):
        server = server.removeprefix(protocol)
    return server.partition(",")[0].partition("\\")[0].strip()

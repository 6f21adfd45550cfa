"""Finds Microsoft's ODBC driver, and loads pyodbc."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from dstream.errors import SystemFault

_INSTALLED_DRIVER = "ODBC Driver 18 for SQL Server"


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

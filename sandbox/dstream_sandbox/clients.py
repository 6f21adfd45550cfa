"""Real clients of the sandbox: pyodbc with Microsoft's driver, and azure-servicebus."""

from __future__ import annotations

import contextlib
import importlib.util
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dstream_sandbox.environment import admin_connection_string, odbc_connection_string, servicebus_connection_string
from dstream_sandbox.errors import SandboxError
from dstream_sandbox.folder import DATABASE, Folder, Settings
from dstream_sandbox.sql_script import server_errors

if TYPE_CHECKING:
    import pyodbc
    from azure.servicebus import ServiceBusClient
    from azure.servicebus.management import ServiceBusAdministrationClient


def connect(settings: Settings, *, database: str = DATABASE, autocommit: bool = True) -> pyodbc.Connection:
    """Connect as sa. Raises pyodbc.Error, or SandboxError if the ODBC driver cannot be loaded."""
    _require_driver_manager()
    import pyodbc

    pyodbc.pooling = False
    text = odbc_connection_string(settings).replace(f"Database={DATABASE}", f"Database={database}")
    return pyodbc.connect(f"DRIVER={odbc_driver()};{text}", autocommit=autocommit)


def odbc_driver() -> str:
    """The path of msodbcsql18 inside the mssql-python-odbc wheel."""
    spec = importlib.util.find_spec("mssql_python_odbc")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("mssql-python-odbc is not installed")
    root = Path(spec.submodule_search_locations[0])
    family = {"linux": "linux", "darwin": "macos"}.get(sys.platform, "windows")
    machine = {"aarch64": "arm64", "amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    found = [
        path for path in root.rglob("*msodbcsql*18*") if path.suffix in (".so", ".dylib", ".dll") or ".so." in path.name
    ]
    fitting = [path for path in found if family in path.parts and machine in path.parts]
    preferred = [path for path in fitting if "debian_ubuntu" in path.parts] or fitting or found
    if not preferred:
        raise ModuleNotFoundError(f"msodbcsql18 not found in {root}")
    return str(preferred[0])


def prepare_database(settings: Settings) -> None:
    """Create the database and enable CDC on it, unless already done. Raises SandboxError."""
    _require_driver_manager()
    import pyodbc

    try:
        _prepare_database(settings)
    except pyodbc.Error as error:
        raise SandboxError(f"cannot create database {DATABASE}: {server_errors(str(error.args[-1]))}") from error


def _prepare_database(settings: Settings) -> None:
    with contextlib.closing(connect(settings, database="master")) as master:
        master.execute(f"IF DB_ID(N'{DATABASE}') IS NULL CREATE DATABASE [{DATABASE}]")
    with contextlib.closing(connect(settings)) as connection:
        enabled = connection.execute("SELECT is_cdc_enabled FROM sys.databases WHERE name = DB_NAME()").fetchval()
        if not enabled:
            connection.execute("EXEC sys.sp_cdc_enable_db")


def servicebus(settings: Settings, **options: Any) -> ServiceBusClient:
    """Return a client, created with `options`."""
    from azure.servicebus import ServiceBusClient

    return ServiceBusClient.from_connection_string(servicebus_connection_string(settings), **options)


def administration(folder: Folder, settings: Settings) -> ServiceBusAdministrationClient:
    from azure.servicebus.management import ServiceBusAdministrationClient

    return ServiceBusAdministrationClient.from_connection_string(
        admin_connection_string(settings), connection_verify=str(folder.ca_file)
    )


def _require_driver_manager() -> None:
    try:
        import pyodbc  # noqa: F401
    except ImportError as error:  # pyodbc's wheel does not contain libodbc.so.2
        raise SandboxError(f"{error}; install unixODBC: sudo apt-get install libodbc2") from error

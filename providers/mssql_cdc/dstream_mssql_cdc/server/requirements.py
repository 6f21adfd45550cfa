"""What the provider needs on this machine: unixODBC's driver manager, which no wheel includes, and an ODBC driver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from dstream.odbc import find_driver, load_pyodbc
from dstream.sdk import Requirement
from dstream.sdk.errors import SystemFault

_MANAGER = "ODBC driver manager"
_DRIVER = "ODBC driver"


def requirements() -> Sequence[Requirement]:
    """Check without connecting. The driver can be checked only if the manager is installed."""
    try:
        load_pyodbc()
    except SystemFault as error:
        return [Requirement(_MANAGER, False, error.message, error.hint)]
    return [Requirement(_MANAGER, True, "unixODBC"), driver_requirement(find_driver(), _registered_drivers)]


def driver_requirement(found: str, registered: Callable[[], Sequence[str]]) -> Requirement:
    """Whether a driver is installed. `found`: the path of the packaged driver, or the name of Microsoft's. Any
    registered driver counts, because `odbc_driver` can name it.
    """
    if Path(found).is_absolute():
        return Requirement(_DRIVER, True, f"msodbcsql18 of mssql-python-odbc {metadata.version('mssql-python-odbc')}")
    names = registered()
    if names:
        return Requirement(_DRIVER, True, f"registered: {', '.join(names)}")
    return Requirement(_DRIVER, False, "not installed", "pip install mssql-python-odbc")


def _registered_drivers() -> Sequence[str]:
    import pyodbc

    return list(pyodbc.drivers())

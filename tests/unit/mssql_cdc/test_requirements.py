"""The ODBC driver requirements that `dstream doctor` shows."""

from __future__ import annotations

from dstream_mssql_cdc.server.requirements import driver_requirement, requirements

from dstream.odbc import find_driver


def nothing_registered() -> list[str]:
    return []


def test_the_packaged_driver_needs_no_registered_one() -> None:
    found = driver_requirement(find_driver(), nothing_registered)
    assert (found.ok, found.fix) == (True, "")


def test_a_registered_driver_replaces_the_packaged_one() -> None:
    found = driver_requirement("ODBC Driver 18 for SQL Server", lambda: ["FreeTDS"])
    assert (found.ok, found.detail) == (True, "registered: FreeTDS")


def test_a_missing_driver_comes_with_its_fix() -> None:
    found = driver_requirement("ODBC Driver 18 for SQL Server", nothing_registered)
    assert (found.ok, found.fix) == (False, "pip install mssql-python-odbc")


def test_the_driver_is_checked_after_the_manager() -> None:
    assert [each.name for each in requirements()] == ["ODBC driver manager", "ODBC driver"]

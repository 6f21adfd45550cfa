"""Which logins and statements an injected fault of SQL Server applies to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from dstream_sandbox.sqlserver.faults import SqlFault, SqlFaults


def test_a_fault_applies_to_its_moment_database_and_statement() -> None:
    faults = SqlFaults()
    faults.add(SqlFault(number=1205, entity="Orders", statement="_CT]", at="result", times=1))
    assert faults.strike("statement", "orders", "SELECT * FROM cdc.[dbo_A_CT]") is None
    assert faults.strike("result", "bills", "SELECT * FROM cdc.[dbo_A_CT]") is None
    assert faults.strike("result", "orders", "SELECT 1") is None
    assert faults.strike("result", "orders", "SELECT * FROM cdc.[dbo_A_CT]") is not None
    assert faults.strike("result", "orders", "SELECT * FROM cdc.[dbo_A_CT]") is None


def test_a_fault_with_seconds_lasts_from_its_first_application() -> None:
    now = [100.0]
    faults = SqlFaults(clock=lambda: now[0])
    faults.add(SqlFault(number=40613, at="login", seconds=30))
    struck = []
    for now[0] in (200.0, 229.0, 231.0):
        struck.append(faults.strike("login", "orders") is not None)
    assert struck == [True, True, False]


def test_an_error_has_sql_servers_severity_and_text() -> None:
    error = SqlFault(number=1205).error(spid=53, login="r", database="d")
    assert (error.severity, "(Process ID 53)" in error.text) == (13, True)
    assert SqlFault(number=40501).error(spid=0, login="r", database="d").severity == 20
    assert SqlFault(number=99999, description="odd").error(spid=0, login="r", database="d").text == "odd"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"number": 1205, "action": "drop"},
        {"action": "delay"},
        {"action": "failover"},
        {"number": 1205, "at": "after_store"},
        {"number": 1205, "times": 0},
        {"number": 1205, "condition": "x"},
        {"number": "1205"},
    ],
)
def test_an_invalid_fault_is_refused(fields: dict[str, Any]) -> None:
    status, body = SqlFaults().handle("POST", json.dumps({"kind": "sql", **fields}).encode())
    assert status == 400
    assert json.loads(body)["error"]

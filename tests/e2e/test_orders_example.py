"""The unmodified orders example: three tables, mixed operations and transactions across tables, in commit order."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dstream_sandbox import workload

from tests.running import DStream, Message, Sandbox

ROWS = 10_000


def test_ten_thousand_changes_arrive_losslessly_in_commit_order(
    own_sandbox: Sandbox, example: Callable[[str], Path]
) -> None:
    own_sandbox.create_queue("orders")
    with contextlib.closing(own_sandbox.connect()) as connection:
        workload.create_tables(connection)
        written = workload.Load(connection, seed=3).run(ROWS)
    assert written.total >= ROWS
    assert all(written.changes.values())

    done = DStream(example("orders"), own_sandbox.env)("run", "orders", "--once")

    assert done.returncode == 0, done.stderr
    messages = own_sandbox.receive("orders", written.total)
    assert len(messages) == written.total
    positions = [message.position for message in messages]
    assert all(earlier < later for earlier, later in itertools.pairwise(positions)), "out of commit order"
    assert _replayed(messages) == _held(own_sandbox), "the replayed events differ from the tables"


def test_a_second_run_publishes_nothing(own_sandbox: Sandbox, example: Callable[[str], Path]) -> None:
    own_sandbox.create_queue("orders")
    with contextlib.closing(own_sandbox.connect()) as connection:
        workload.create_tables(connection)
        workload.Load(connection, seed=4).run(200)
    dstream = DStream(example("orders"), own_sandbox.env)
    assert dstream("run", "orders", "--once").returncode == 0
    own_sandbox.receive("orders", 1)

    assert dstream("run", "orders", "--once").returncode == 0

    assert own_sandbox.receive("orders", 0) == []


def _replayed(messages: list[Message]) -> dict[str, dict[tuple[Any, ...], dict[str, Any]]]:
    """The tables that result from the events. Each before image and each deleted row must match the previous row."""
    tables: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {table: {} for table in workload.TABLES}
    for message in messages:
        event, metadata = message.event, message.metadata
        rows, data = tables[metadata["TableName"]], event["data"]
        key = tuple(data[column] for column in metadata["Key"])
        if metadata["OperationType"] == "Insert":
            assert key not in rows
            rows[key] = data
        elif metadata["OperationType"] == "Update":
            unchanged = {column: rows[key][column] for column in metadata.get("Unchanged", [])}
            assert {**unchanged, **event["before"]} == rows[key]
            rows[key] = {**unchanged, **data}
        else:
            assert data == rows.pop(key)
    return tables


def _held(sandbox: Sandbox) -> dict[str, dict[tuple[Any, ...], dict[str, Any]]]:
    """The tables in SQL Server; values are text produced by CONVERT, integers are unchanged."""
    queries = {
        "dbo.Customers": (
            1,
            "SELECT Id, Name, Email, CONVERT(varchar(40), Balance) AS Balance, CONVERT(varchar(40), Changed, 126) AS Changed"
            " FROM dbo.Customers",
        ),
        "dbo.Orders": (
            1,
            "SELECT Id, CustomerId, Status, CONVERT(varchar(40), Total) AS Total, Note,"
            " CONVERT(varchar(40), Created, 126) AS Created FROM dbo.Orders",
        ),
        "dbo.OrderLines": (
            2,
            "SELECT OrderId, Line, Product, Quantity, CONVERT(varchar(40), Price, 2) AS Price FROM dbo.OrderLines",
        ),
    }
    held = {}
    for table, (key_columns, query) in queries.items():
        rows = [dict(zip((c[0] for c in row.cursor_description), row, strict=True)) for row in sandbox.sql(query)]
        held[table] = {tuple(itertools.islice(row.values(), key_columns)): row for row in rows}
    return held

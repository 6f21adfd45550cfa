"""Transforms of a task, with the real providers: what arrives in Service Bus, what is refused, what commands show."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.running import DStream, Sandbox

FILE_OUTPUT = Path(__file__).parent.parent / "chaos" / "file_output.py"
ORDERS = """
task "orders" {
  input {
    provider = "mssql_cdc"
    config {
      db_connection_string = env("MSSQL_CONNECTION_STRING")
      tables = ["dbo.Sales", "dbo.Other"]
      schema_records = true
    }
  }
  transform "filter" {
    tables = ["dbo.Sales"]
    where  = data.Total > 100 && metadata.OperationType != "Delete"
  }
  transform "rename" { columns = { Id = "SaleId" } }
  transform "mask" {
    columns  = ["Email"]
    with     = "hash"
    hash_key = env("HASH_KEY")
  }
  transform "drop" { columns = ["Note"] }
  transform "route" {
    field = "Destination"
    value = "small"
  }
  transform "route" {
    tables = ["dbo.Sales"]
    where  = data.Total >= 1000
    field  = "Destination"
    value  = "large"
  }
  output {
    provider = "servicebus"
    config {
      connection_string = env("ASB_CONNECTION_STRING")
      queue = "{Destination}"
    }
  }
}
"""


def test_transformed_rows_arrive_in_the_queue_of_their_route(sandbox: Sandbox, dstream: Callable[..., DStream]) -> None:
    for table in ("Sales", "Other"):
        sandbox.sql(
            f"CREATE TABLE dbo.{table} (Id int NOT NULL PRIMARY KEY, Total decimal(38,2), Email varchar(50), Note text)"
        )
        sandbox.sql(f"EXEC sys.sp_cdc_enable_table @source_schema = 'dbo', @source_name = '{table}', @role_name = NULL")
    for queue in ("small", "large"):
        sandbox.create_queue(queue)
    sandbox.sql(
        "INSERT INTO dbo.Sales VALUES (1, 99.99, 'a@b.c', 'n'), (2, 100.01, 'a@b.c', 'n'), (3, 5000, NULL, 'n')"
    )
    sandbox.sql("UPDATE dbo.Sales SET Total = 123456789012345678901234567890.12 WHERE Id = 3")
    sandbox.sql("INSERT INTO dbo.Other VALUES (4, 0, 'x@y.z', 'n')")
    sandbox.sql("DELETE FROM dbo.Sales WHERE Id = 2")
    command = dstream(ORDERS, {**sandbox.env, "HASH_KEY": "canary-key"})

    done = command("run", "orders", "--once", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 8, "dropped rows count as settled"
    assert "canary-key" not in done.stderr
    small = [message.event for message in sandbox.receive("small", 4)]
    large = [message.event for message in sandbox.receive("large", 2)]
    records = [event["data"] for event in small if event["metadata"]["OperationType"] == "Schema"]
    assert [[column["name"] for column in record["columns"]] for record in records] == [
        ["SaleId", "Total", "Email"]
    ] * 2
    assert [record["key"] for record in records] == [["SaleId"], ["SaleId"]]
    assert [record["columns"][2]["hiding"] for record in records] == ["hash", "hash"]
    rows = [event for event in small if event["metadata"]["OperationType"] != "Schema"]
    assert [(row["data"]["SaleId"], row["data"]["Total"]) for row in rows] == [(2, "100.01"), (4, "0.00")]
    assert all(len(row["data"]["Email"]) == 64 and row["metadata"]["Key"] == ["SaleId"] for row in rows)
    assert [row["data"] for row in large] == [
        {"SaleId": 3, "Total": "5000.00", "Email": None},
        {"SaleId": 3, "Total": "123456789012345678901234567890.12", "Email": None},
    ]
    assert large[1]["before"] == {"SaleId": 3, "Total": "5000.00", "Email": None}

    again = command("run", "orders", "--once")

    assert again.returncode == 0, again.stderr
    assert (sandbox.receive("small", 0), sandbox.receive("large", 0)) == ([], [])


COUNT = """
task "count" {
  input {
    provider = "counter"
    config {
      interval = "1ms"
      count    = 30
    }
  }
  transform "filter" { where = %s }
  transform "rename" { columns = { value = "Number" } }
  output {
    provider_path = "%s"
    config {
      path = "rows.txt"
    }
  }
}
"""


def test_a_row_that_a_transform_cannot_process_stops_the_run_at_the_line_of_the_transform(tmp_path: Path) -> None:
    dstream = DStream(tmp_path)
    (tmp_path / "dstream.hcl").write_text(COUNT % ("data.value < 20 || data.amount > 25", FILE_OUTPUT))

    failed = dstream("run", "count")

    assert failed.returncode == 1
    assert 'a row has no column "amount"   [transform.column_missing]' in failed.stderr
    assert "dstream.hcl:10:3" in failed.stderr
    (tmp_path / "dstream.hcl").write_text(COUNT % ("data.value < 20 || data.value > 25", FILE_OUTPUT))
    assert dstream("run", "count").returncode == 0
    numbers = [json.loads(line)["data"]["Number"] for line in (tmp_path / "rows.txt").read_text().splitlines()]
    assert sorted(set(numbers)) == [*range(1, 20), *range(26, 31)], "nothing is lost"


def test_validate_and_list_show_the_transforms(tmp_path: Path) -> None:
    dstream = DStream(tmp_path)
    (tmp_path / "dstream.hcl").write_text(COUNT % ("data.value > 20", FILE_OUTPUT))
    assert 'task "count" transforms rows: filter, rename' in dstream("validate").stdout
    assert json.loads(dstream("validate", "--json").stdout)["transforms"] == {"count": ["filter", "rename"]}
    assert f"counter → filter, rename → {FILE_OUTPUT}" in dstream("list").stdout
    assert json.loads(dstream("list", "--json").stdout)["tasks"][0]["transforms"] == ["filter", "rename"]


def test_validate_list_and_run_show_a_transform_provider(tmp_path: Path) -> None:
    dstream = DStream(tmp_path)
    middle = FILE_OUTPUT.with_name("uneven_transform.py")
    text = COUNT % ("data.value > 20", FILE_OUTPUT)
    block = f'transform {{ provider_path = "{middle}" }}\n  transform "filter"'
    (tmp_path / "dstream.hcl").write_text(text.replace('transform "filter"', block))
    assert f'task "count" transforms rows: {middle}, filter, rename' in dstream("validate").stdout
    assert f"counter → {middle} → filter, rename → {FILE_OUTPUT}" in dstream("list").stdout
    assert json.loads(dstream("list", "--json").stdout)["tasks"][0]["transform"] == str(middle)
    ended = json.loads(dstream("run", "count", "--max-rows", "3", "--json").stdout)
    assert (ended["input"], ended["transform"], ended["output"]) == ("counter", str(middle), str(FILE_OUTPUT))


OLD_OUTPUT = """#!/bin/sh
echo '{"dstream":"hello","protocol":1,"role":"output","name":"old","version":"1","capabilities":["ack"]}'
while read -r line; do echo "$line" >> received; done
"""


def test_an_output_without_the_capability_is_refused_before_anything_moves(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text(OLD_OUTPUT)
    old.chmod(0o755)
    dstream = DStream(tmp_path)
    (tmp_path / "dstream.hcl").write_text(COUNT % ("data.value > 20", old))
    for command in (["validate"], ["run", "count"]):
        refused = dstream(*command)
        assert refused.returncode == 3
        assert 'output provider "old" does not support transforms   [provider.no_transforms]' in refused.stderr
        assert "dstream.hcl:10:3" in refused.stderr
    assert not (tmp_path / "received").exists()

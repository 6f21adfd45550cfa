"""The executable as the host starts it: hello, ready, lines, checkpoints, end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from tests.integration.mssql_cdc.source_server import SourceDatabase

EXECUTABLE = Path(sys.executable).parent / "dstream-mssql-cdc"


def run(
    config: dict[str, Any], state: dict[str, Any] | None = None, *, protocol: str = "1", **environment: str
) -> list[dict[str, Any]]:
    """Every line it writes; the end line is followed by its peak memory."""
    line = {"command": "run", "config": config, "state": state or {}, "run": {"task": "t", "once": True}}
    process = subprocess.Popen(
        [EXECUTABLE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**_without_protocol(), **({"DSTREAM_PROTOCOL": protocol} if protocol else {}), **environment},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode(line) + b"\n")
    if protocol:
        process.stdin.write(b'{"dstream":"welcome","protocol":1}\n')
    process.stdin.flush()
    received = []
    for text in process.stdout:
        received.append(json.loads(text))
        if received[-1].get("dstream") == "end":
            received.append({"peak_kib": _peak_kib(process.pid)})  # still running, because its stdin is open
            break
        if received[-1].get("dstream") == "checkpoint":
            process.stdin.write(msgspec.json.encode({"dstream": "ack", "seq": received[-1]["seq"]}) + b"\n")
            process.stdin.flush()
    process.stdin.close()
    process.wait(60)
    return received


def _peak_kib(pid: int) -> int:
    """The largest resident set so far (VmHWM, proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def _without_protocol() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "DSTREAM_PROTOCOL"}


def test_a_run_writes_its_rows_and_a_checkpoint_to_resume_from(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY)")
    database.capture("dbo.Persons")
    database.run("INSERT INTO dbo.Persons VALUES (1), (2)")
    config = {**database.config("Persons"), "start_from": None}
    *received, _ = run(config)
    kinds = [
        line.get("dstream", "data") for line in received if line.get("dstream") not in ("log", "metric", "heartbeat")
    ]
    assert received[0]["name"] == "mssql_cdc"
    assert {"status": "ready"} in received
    assert [kinds[0], kinds[-2], kinds[-1]] == ["hello", "checkpoint", "end"]
    assert [line["data"]["Id"] for line in received if "data" in line] == [1, 2]
    first, *_, last = [line for line in received if line.get("dstream") == "checkpoint"]
    assert (first["seq"], first["n"]) == (1, 0)
    database.run("INSERT INTO dbo.Persons VALUES (3)")
    assert [line["data"]["Id"] for line in run(config, last["state"]) if "data" in line] == [3]


def test_a_host_that_stores_no_state_must_set_start_from(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY)")
    database.capture("dbo.Persons")
    database.run("INSERT INTO dbo.Persons VALUES (1)")
    text = json.dumps(run({**database.config("Persons"), "start_from": None}, protocol=""))
    assert "start_from" in text
    assert '"data"' not in text
    assert [line["data"]["Id"] for line in run(database.config("Persons"), protocol="") if "data" in line] == [1]


def test_a_locale_without_unicode_changes_no_text(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY, Name varchar(20), Other nvarchar(20))")
    database.capture("dbo.Persons")
    database.run("INSERT INTO dbo.Persons VALUES (1, 'é€ü', N'日本')")
    (line,) = [line for line in run(database.config("Persons"), LC_ALL="C", LANG="C") if "data" in line]
    assert line["data"] == {"Id": 1, "Name": "é€ü", "Other": "日本"}


def test_a_long_transaction_is_read_in_bounded_memory(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.Numbers (Id int PRIMARY KEY)")
    database.run("INSERT INTO dbo.Numbers VALUES (0)")
    for power in range(16):
        database.run(f"INSERT INTO dbo.Numbers SELECT Id + {2**power} FROM dbo.Numbers")
    database.run("CREATE TABLE dbo.Long (Id int PRIMARY KEY, Name nvarchar(50), Note nvarchar(200))")
    database.capture("dbo.Long")
    database.run(
        "INSERT INTO dbo.Long SELECT Id, N'Ada', N'a note of some length, so that rows weigh something' FROM Numbers"
    )
    received = run(database.config("Long"))
    assert sum("data" in line for line in received) == 65536
    assert sum(line.get("metadata", {}).get("Last", False) for line in received) == 1
    assert received[-1]["peak_kib"] < 60 * 1024


def test_large_values_are_read_in_bounded_memory(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.Docs (Id int PRIMARY KEY, Doc varchar(max))")
    database.capture("dbo.Docs")
    database.run("INSERT INTO dbo.Docs VALUES (0, REPLICATE(CAST('x' AS varchar(max)), 500000))")
    for power in range(7):
        database.run(f"INSERT INTO dbo.Docs SELECT Id + {2**power}, Doc FROM dbo.Docs")
    received = run(database.config("Docs", max_bytes_per_poll="4MiB"))
    assert sum("data" in line for line in received) == 128
    assert received[-1]["peak_kib"] < 80 * 1024

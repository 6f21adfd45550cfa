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


def run(config: dict[str, Any], state: dict[str, Any] | None = None, *, protocol: str = "1") -> list[dict[str, Any]]:
    line = {"command": "run", "config": config, "state": state or {}, "run": {"task": "t", "once": True}}
    process = subprocess.Popen(
        [EXECUTABLE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "DSTREAM_PROTOCOL": protocol} if protocol else _without_protocol(),
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
            break
        if received[-1].get("dstream") == "checkpoint":
            process.stdin.write(msgspec.json.encode({"dstream": "ack", "seq": received[-1]["seq"]}) + b"\n")
            process.stdin.flush()
    process.stdin.close()
    process.wait(20)
    return received


def _without_protocol() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "DSTREAM_PROTOCOL"}


def test_a_run_tells_its_rows_and_where_to_go_on(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY)")
    database.capture("dbo.Persons")
    database.run("INSERT INTO dbo.Persons VALUES (1), (2)")
    config = {**database.config("Persons"), "start_from": None}
    received = run(config)
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


def test_a_host_without_memory_wants_to_be_told_where_to_start(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY)")
    database.capture("dbo.Persons")
    database.run("INSERT INTO dbo.Persons VALUES (1)")
    text = json.dumps(run({**database.config("Persons"), "start_from": None}, protocol=""))
    assert "start_from" in text
    assert '"data"' not in text
    assert [line["data"]["Id"] for line in run(database.config("Persons"), protocol="") if "data" in line] == [1]

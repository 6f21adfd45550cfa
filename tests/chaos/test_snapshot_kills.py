"""SIGKILL of the host in the middle of a snapshot: it resumes, and a copy kept by key equals the table.

The suite kills once; `make soak` kills at five random moments within a million rows, while an application writes to
the table, and checks the reader's memory.
"""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.chaos.application import SteadyWriter
from tests.running import DStream, RunningCommand, Sandbox, wait_until

READER_MIB = 200
SNAPSHOT_ROWS = 1_000_000
WRITTEN_ROWS_PER_S = 500
OUTPUT = Path(__file__).parent / "file_output.py"
HCL = """
task "copy" {
  input {
    provider = "mssql_cdc"
    config {
      db_connection_string = env("MSSQL_CONNECTION_STRING")
      tables               = ["dbo.%s"]
      start_from           = "snapshot"
      max_bytes_per_poll   = "%s"
    }
  }
  output {
    provider_path = "%s"
    config {
      path = "%s"
    }
  }
}
"""


class Copying:
    """A table that is copied to a file while it changes."""

    def __init__(self, sandbox: Sandbox, dstream: Callable[..., DStream], folder: Path, rows: int, chunk: str) -> None:
        self.lines = folder / "copy.jsonl"
        self._sandbox = sandbox
        self.table = f"Copied{rows}"
        sandbox.sql(f"CREATE TABLE dbo.{self.table} (Id int PRIMARY KEY, Name nvarchar(40), Note nvarchar(max))")
        sandbox.sql(
            f"INSERT INTO dbo.{self.table} SELECT value, CONCAT(N'name ', value), N'a note' FROM GENERATE_SERIES(1, {rows})"
        )
        sandbox.sql("EXEC sys.sp_cdc_enable_table N'dbo', ?, @role_name = NULL", self.table)
        self.dstream = dstream(HCL % (self.table, chunk, OUTPUT, self.lines), sandbox.env)

    @property
    def size(self) -> int:
        return self.lines.stat().st_size if self.lines.exists() else 0

    @property
    def is_resumable(self) -> bool:
        """Whether the host has stored a checkpoint in the middle of the snapshot."""
        stored = self.dstream.cwd.glob(".dstream/state/*/copy.json")
        return any(b'"after"' in file.read_bytes() for file in stored)

    def change(self, first: int, last: int) -> None:
        """Change rows that have been read and rows that have not."""
        table = f"dbo.{self.table}"
        for key in (first, last):
            self._sandbox.sql(f"UPDATE {table} SET Name = N'changed' WHERE Id BETWEEN {key} AND {key + 20}")
            self._sandbox.sql(f"DELETE {table} WHERE Id BETWEEN {key + 30} AND {key + 40}")
            self._sandbox.sql(f"UPDATE {table} SET Id = -Id WHERE Id BETWEEN {key + 50} AND {key + 60}")

    def expected(self) -> dict[int, tuple[str, str]]:
        return {row[0]: (row[1], row[2]) for row in self._sandbox.sql(f"SELECT Id, Name, Note FROM dbo.{self.table}")}


def kill(run: RunningCommand, until: Callable[[], bool]) -> float:
    """SIGKILL the host when `until` is true. Return the peak memory of the reader in MiB."""
    wait_until(lambda: until() or run.process.poll() is not None, "some rows", 300)
    status = Path(f"/proc/{run.child('mssql').pid}/status").read_text()
    providers = run.children()
    run.process.send_signal(signal.SIGKILL)
    assert run.ended() == -signal.SIGKILL
    psutil.wait_procs(providers, 30)
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def copy_of(lines: Path) -> tuple[dict[int, tuple[str, str]], int]:
    """The rows after applying the lines by key, and how many different rows of the snapshot there were."""
    rows: dict[int, tuple[str, str]] = {}
    ids: set[str] = set()
    with lines.open("rb") as file:
        for line in file:
            event = json.loads(line)
            data, metadata = event["data"], event["metadata"]
            if metadata["OperationType"] == "Delete":
                rows.pop(data["Id"], None)
                continue
            if metadata["OperationType"] == "Read":
                ids.add(metadata["Id"])
            known = rows.get(data["Id"], ("", "not sent, since the update did not change it"))
            rows[data["Id"]] = (data["Name"], data.get("Note", known[1]))
    return rows, len(ids)


def test_a_killed_snapshot_resumes_and_the_copy_equals_the_table(
    sandbox: Sandbox, dstream: Callable[..., DStream], tmp_path: Path
) -> None:
    copying = Copying(sandbox, dstream, tmp_path, 4000, "64KiB")
    with copying.dstream.running("run", "copy") as run:
        kill(run, lambda: copying.size > 200_000 and copying.is_resumable)
    _, read_before = copy_of(copying.lines)
    assert read_before < 4000
    copying.change(100, 3000)
    done = copying.dstream("run", "copy", "--once")
    assert done.returncode == 0, done.stderr
    assert "rows_before=0 " not in done.stderr
    assert "mssql.snapshot_done" in done.stderr
    rows, ids = copy_of(copying.lines)
    assert rows == copying.expected()
    assert ids <= 4000 + 22


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_snapshot_of_a_million_rows_survives_five_kills_in_bounded_memory_while_the_table_is_written(
    own_sandbox: Sandbox, dstream: Callable[..., DStream], tmp_path: Path
) -> None:
    rows = SNAPSHOT_ROWS
    copying = Copying(own_sandbox, dstream, tmp_path, rows, "32MiB")
    chance = random.Random()
    application = SteadyWriter(own_sandbox, f"dbo.{copying.table}", 1, rows, WRITTEN_ROWS_PER_S)
    for number in range(1, 6):
        size = copying.size + chance.randrange(10 * rows, 30 * rows)
        with copying.dstream.running("run", "copy") as run:
            peak_mib = kill(run, lambda at=size: copying.size > at)  # type: ignore[misc]
        assert peak_mib < READER_MIB
        copying.change(1000 * number, rows - 1000 * number)
    with copying.dstream.running("run", "copy") as run:
        run.says("mssql.snapshot_done", 900)
        application.finish()
    assert application.changed > rows // 1000
    done = copying.dstream("run", "copy", "--once", timeout_s=900)
    assert done.returncode == 0, done.stderr
    copied, _ = copy_of(copying.lines)
    assert copied == copying.expected()

"""Standard streams that are closed, full, unread or odd: work that has begun is finished, and no row is lost."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.conformance.commands import DEADLINE_S, Place, wait_until
from tests.running import BIN

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.task("c", output="console")
    place.task("t", resources={"orders": {"max_delivery_count": 10}})
    real = {"orders": {"max_delivery_count": 9}}
    (tmp_path / "test-infrastructure.json").write_text(json.dumps({"real": real, "recorded": real}))
    document = {
        "version": 1,
        "task": "c",
        "input": "counter",
        "output": "console",
        "seq": 1,
        "stored_at": "2026-11-25T10:00:00.000Z",
        "run_id": "r1",
        "state": {"next": 4},
    }
    state = tmp_path / ".dstream" / "state" / "dev"
    state.mkdir(parents=True)
    for file in (tmp_path / "checkpoint.json", state / "c.json"):
        file.write_text(json.dumps(document))
    return place


def dstream(place: Place, command: str, streams: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f"exec {BIN / 'dstream'} {command} {streams}"],
        cwd=place.folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=DEADLINE_S,
        check=False,
    )


def test_a_command_in_a_bare_environment_ends_as_documented(place: Place) -> None:
    """The real executable; standard_streams/test_matrix.py tests each condition with each command."""
    bare = {"HOME": "", "TERM": "", "COLUMNS": "20", "PYTHONIOENCODING": "latin-1"}
    done = dstream(place, "plan t", "<&-", **bare)
    assert (done.returncode, done.stderr) == (0, "")
    assert "stack dev" in done.stdout
    assert dstream(place, "list", ">&- 2>&-", **bare).returncode == 1


@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/full", "2>&1 | true"])
def test_a_run_delivers_every_row_without_a_log(streams: str, place: Place) -> None:
    dstream(place, "run t", streams)
    rows = (place.folder / "test-infrastructure.rows.jsonl").read_text().splitlines()
    assert [json.loads(row)["data"]["value"] for row in rows] == [1, 2, 3, 4, 5]


def test_a_run_delivers_every_row_while_nobody_reads_its_log(place: Place) -> None:
    (place.folder / "dstream.hcl").write_text((place.folder / "dstream.hcl").read_text().replace("count = 5", ""))
    reader, writer = os.pipe()
    command = [BIN / "dstream", "run", "t", "--log-level", "debug", "--max-rows", "3000"]
    with subprocess.Popen(command, cwd=place.folder, stdin=subprocess.DEVNULL, stderr=writer) as running:
        os.close(writer)
        assert running.wait(DEADLINE_S) == 0
    with open(reader, "rb") as log:
        assert len(log.read()) <= 65536  # what a pipe holds
    assert len((place.folder / "test-infrastructure.rows.jsonl").read_text().splitlines()) >= 3000


def test_a_command_whose_reader_has_enough_ends_quietly(place: Place) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [BIN / "dstream", "list"], cwd=place.folder, stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("flag", ["", "--json-stream"])
def test_nothing_is_changed_if_the_plan_cannot_be_shown(flag: str, place: Place) -> None:
    before = place.world
    assert dstream(place, f"init t --yes {flag}", ">/dev/full").returncode == 1
    assert place.world == before


def test_work_that_has_begun_is_finished_and_its_failure_shown_without_stdout(place: Place) -> None:
    place.queues(fail={"init:returns": "system"})
    (place.folder / "test-infrastructure.json").unlink()
    reader, writer = os.pipe()
    with subprocess.Popen(
        [BIN / "dstream", "init", "t", "--yes", "--json-stream"],
        cwd=place.folder,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        os.close(writer)
        with open(reader) as events:
            next(line for line in events if '"phase": "started"' in line)
        assert running.stderr is not None
        shown = running.stderr.read()
        assert running.wait(DEADLINE_S) != 0
    wait_until(lambda: "orders" in place.world["recorded"], "the first resource is recorded")
    assert "Traceback" not in shown
    assert "Error:" in shown


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("run c", "state.write_failed"),
        ("state set c checkpoint.json --yes", "state.write_failed"),
        ("plan t --out plan.json", "plan.write_failed"),
        ("plan t --markdown plan.md", "plan.write_failed"),
        ("provider new tides --kind input", "system.failed"),
        ("init t --yes", "system.failed"),
    ],
)
def test_a_full_disk_is_named_as_the_cause(command: str, code: str, place: Place) -> None:
    # `ulimit -f 0` is a disk without room, from the kernel: every write to a file fails with EFBIG.
    done = subprocess.run(
        ["sh", "-c", f"ulimit -f 0; exec {BIN / 'dstream'} {command}"],
        cwd=place.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 1
    assert f"[{code}]" in done.stderr
    assert "File too large" in done.stderr
    assert "bug" not in done.stderr
    assert not (place.folder / "tides").exists()
    assert "Traceback" not in done.stderr

"""`dstream state`: what it shows, exports, sets, deletes and refuses."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.running import BIN, DStream

HCL = """
task "count" {
  input {
    provider = "counter"
    config {
      interval = "%s"
      count    = 3
    }
  }
  output {
    provider = "console"
    config {}
  }
}
"""


@pytest.fixture
def counted(tmp_path: Path) -> DStream:
    """A task that has run to completion once."""
    (tmp_path / "dstream.hcl").write_text(HCL % "1ms")
    dstream = DStream(tmp_path)
    assert dstream("run", "count").returncode == 0
    return dstream


def checkpoint(dstream: DStream) -> Any:
    return json.loads(dstream("state", "show", "count", "--json").stdout)["checkpoint"]


def test_show_prints_where_the_next_run_resumes(counted: DStream) -> None:
    shown = counted("state", "show", "count")
    stored = checkpoint(counted)
    assert shown.returncode == 0
    assert "count · counter → console" in shown.stdout
    assert stored["stored_at"] in shown.stdout
    assert stored["state"]


def test_a_deleted_checkpoint_can_be_restored_from_an_export(counted: DStream) -> None:
    before = checkpoint(counted)
    document = counted("state", "export", "count").stdout
    (counted.cwd / "kept.json").write_text(document)
    assert json.loads(document) == before

    assert counted("state", "rm", "count", "--yes").returncode == 0
    assert checkpoint(counted) is None
    assert "starts from scratch" in counted("state", "show", "count").stdout
    assert "no checkpoint" in counted("state", "rm", "count").stdout
    assert counted("state", "export", "count").returncode == 3

    assert counted("state", "set", "count", "kept.json", "--yes").returncode == 0
    assert checkpoint(counted) == before


def test_a_rollback_returns_to_a_kept_checkpoint_and_can_be_undone(counted: DStream) -> None:
    first = checkpoint(counted)
    assert counted("run", "count", "--reset", "--max-rows", "2").returncode == 0
    second = checkpoint(counted)
    listed = json.loads(counted("state", "history", "count", "--json").stdout)["checkpoints"]
    assert [each["run_id"] for each in listed[-1:]] == [first["run_id"]]

    assert "--yes" in counted("state", "rollback", "count", "--to", listed[-1]["stored_at"]).stderr
    assert checkpoint(counted) == second
    done = counted("state", "rollback", "count", "--to", listed[-1]["stored_at"], "--yes", "--json")
    assert json.loads(done.stdout)["checkpoint"]["run_id"] == first["run_id"]
    assert checkpoint(counted)["run_id"] == first["run_id"]

    assert counted("state", "rollback", "count", "--to", second["stored_at"], "--yes").returncode == 0
    assert checkpoint(counted) == second
    done = counted("state", "rollback", "count", "--to", "2001-01-01", "--yes")
    assert (done.returncode, "state.not_kept" in done.stderr) == (3, True)
    assert counted("state", "rollback", "count", "--to", "yesterday").returncode == 3
    assert checkpoint(counted) == second


def test_a_deleted_checkpoint_can_be_rolled_back(counted: DStream) -> None:
    before = checkpoint(counted)
    assert counted("state", "rm", "count", "--yes").returncode == 0
    assert counted("state", "rollback", "count", "--yes").returncode == 0
    assert checkpoint(counted) == before


def test_checkpoints_and_histories_migrate_to_another_folder(counted: DStream) -> None:
    before = checkpoint(counted)
    history = counted("state", "history", "count", "--json").stdout
    file = counted.cwd / "dstream.hcl"
    file.write_text(file.read_text() + 'dstream {\n  state {\n    path = "elsewhere"\n  }\n}\n')
    assert checkpoint(counted) is None
    assert counted("state", "migrate", "--from", ".dstream/state", "--yes").returncode == 0
    assert checkpoint(counted) == before
    assert counted("state", "history", "count", "--json").stdout == history
    assert counted("state", "migrate", "--from", ".dstream/state", "--yes").returncode == 0, "repeating it is harmless"
    moved = counted.cwd / "elsewhere" / "dev" / "count.json"
    moved.write_text(json.dumps({**json.loads(moved.read_text()), "state": {"n": 1}}))
    done = counted("state", "migrate", "--from", ".dstream/state", "--yes")
    assert (done.returncode, "state.exists" in done.stderr) == (5, True)
    assert counted("state", "migrate", "--from", "elsewhere", "--yes").returncode == 3


def test_numbers_of_any_size_survive_export_and_set(counted: DStream) -> None:
    path = next(counted.cwd.glob(".dstream/state/*/count.json"))
    document = json.loads(path.read_text())
    big = '{"position":123456789012345678901234567890}'
    path.write_text(json.dumps({**document, "state": 0}).replace('"state": 0', f'"state": {big}'))
    (counted.cwd / "kept.json").write_text(counted("state", "export", "count").stdout)
    assert counted("state", "set", "count", "kept.json", "--yes").returncode == 0
    assert '"position": 123456789012345678901234567890' in counted("state", "export", "count").stdout


@pytest.mark.parametrize("arguments", [("rm", "count"), ("set", "count", "kept.json")], ids=["rm", "set"])
def test_a_change_without_a_terminal_needs_yes(counted: DStream, arguments: tuple[str, ...]) -> None:
    (counted.cwd / "kept.json").write_text(counted("state", "export", "count").stdout)
    before = checkpoint(counted)
    done = counted("state", *arguments)
    assert done.returncode == 3
    assert "[lifecycle.needs_yes]" in done.stderr
    assert checkpoint(counted) == before


def test_set_refuses_an_invalid_document(counted: DStream) -> None:
    before = checkpoint(counted)
    (counted.cwd / "kept.json").write_text('{"position": 3}')
    done = counted("state", "set", "count", "kept.json", "--yes")
    assert done.returncode == 3
    assert "state.corrupt" in done.stderr
    assert checkpoint(counted) == before


@pytest.mark.parametrize(("answer", "is_deleted"), [(b"n\n", False), (b"y\n", True)])
def test_rm_asks_for_confirmation_on_a_terminal(counted: DStream, answer: bytes, is_deleted: bool) -> None:
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [BIN / "dstream", "state", "rm", "count"], cwd=counted.cwd, stdin=theirs, stderr=subprocess.PIPE
        )
        os.write(ours, answer)
        _, said = process.communicate(timeout=30)
    finally:
        os.close(ours)
        os.close(theirs)
    assert b"Continue?" in said
    assert (checkpoint(counted) is None) == is_deleted


def test_the_checkpoint_of_a_running_task_cannot_be_changed(counted: DStream) -> None:
    (counted.cwd / "kept.json").write_text(counted("state", "export", "count").stdout)
    (counted.cwd / "dstream.hcl").write_text((HCL % "60s").replace("count    = 3", ""))
    with counted.running("run", "count") as run:
        run.says("run.started")
        for arguments in (("rm", "count", "--yes"), ("set", "count", "kept.json", "--yes")):
            done = counted("state", *arguments)
            assert done.returncode == 4
            assert f"pid {run.process.pid}" in done.stderr
        assert checkpoint(counted)
        run.process.send_signal(signal.SIGTERM)
        assert run.ended() == 0, run.stderr


def test_an_unknown_task_is_a_configuration_error(counted: DStream) -> None:
    done = counted("state", "rm", "cuont", "--yes")
    assert done.returncode == 3
    assert 'Did you mean "count"?' in done.stderr


@pytest.mark.parametrize("command", ["list", "status --all"])
def test_an_unreadable_checkpoint_spoils_only_its_own_task(command: str, counted: DStream) -> None:
    hcl = (counted.cwd / "dstream.hcl").read_text()
    (counted.cwd / "dstream.hcl").write_text(hcl + hcl.replace('task "count"', 'task "other"'))
    (counted.cwd / ".dstream" / "state" / "dev" / "other.json").write_text('{"version": 0}')
    done = counted(*command.split())
    assert done.returncode == 3
    assert "checkpoint unreadable (state.corrupt)" in done.stdout
    assert "count" in done.stdout
    assert "dstream state rm other" in done.stderr
    listed = json.loads(counted(*command.split(), "--json").stdout)["tasks"]
    views = {each.get("name") or each["task"]: each.get("stream", each) for each in listed}
    assert views["count"]["stored_at"]
    assert views["count"]["error"] is None
    assert views["other"]["error"]["code"] == "state.corrupt"


def test_a_renamed_task_takes_its_checkpoint_along(counted: DStream) -> None:
    file = counted.cwd / "dstream.hcl"
    file.write_text(file.read_text().replace('task "count"', 'task "renamed"'))
    before = checkpoint(counted)
    done = counted("state", "mv", "count", "renamed", "--yes")
    assert done.returncode == 0, done.stderr
    assert counted("state", "show", "count").returncode == 3
    moved = json.loads(counted("state", "show", "renamed", "--json").stdout)["checkpoint"]
    assert moved == {**before, "task": "renamed"}
    assert "run " in counted("state", "history", "renamed").stdout

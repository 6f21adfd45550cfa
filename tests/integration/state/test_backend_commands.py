"""The commands on network backends: a folder moves there in one command, and everything works as with files."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dstream.state import StateBackend, StateLocation
from tests.running import DStream

HCL = """
task "count" {
  input {
    provider = "counter"
    config {
      interval = "%s"
      count    = %s
    }
  }
  output {
    provider = "console"
    config {}
  }
}
"""


@pytest.mark.parametrize("backend", ["azblob", "postgres", "mssql"])
def test_a_folder_moves_to_a_network_backend_and_the_commands_work_there(
    backend: StateBackend, location_on: Callable[[StateBackend], StateLocation], tmp_path: Path
) -> None:
    location = location_on(backend)
    file = tmp_path / "dstream.hcl"
    file.write_text(HCL % ("1ms", 3))
    dstream = DStream(tmp_path, {**os.environ, "DSTREAM_STATE_URL": location.url})

    def checkpoint() -> Any:
        return json.loads(dstream("state", "show", "count", "--json").stdout)["checkpoint"]

    assert dstream("run", "count").returncode == 0
    before = checkpoint()
    settings = f'\ndstream {{\n  state {{\n    backend = "{backend}"\n    lease   = "15s"\n  }}\n}}\n'
    file.write_text(file.read_text() + settings)
    assert checkpoint() is None
    done = dstream("state", "migrate", "--from", ".dstream/state", "--yes")
    assert done.returncode == 0, done.stderr
    assert checkpoint() == before
    assert before["stored_at"] in dstream("list").stdout
    assert json.loads(dstream("state", "history", "count", "--json").stdout)["checkpoints"]

    assert f"{backend}, with 1 checkpoint" in dstream("doctor").stdout

    assert dstream("state", "rm", "count", "--yes").returncode == 0
    assert checkpoint() is None
    assert dstream("state", "rollback", "count", "--yes").returncode == 0
    assert checkpoint() == before

    file.write_text(HCL % ("10ms", 1_000_000) + settings)
    with dstream.running("run", "count") as run:
        run.says("run.started")
        done = dstream("run", "count")
        assert done.returncode == 4
        assert f"(pid {run.process.pid}, dstream run)" in done.stderr
        assert dstream("state", "rm", "count", "--yes").returncode == 4
        with dstream.running("run", "count", "--standby") as standby:
            standby.says("lease.waiting")
            run.process.send_signal(signal.SIGTERM)
            assert run.ended() == 0, run.stderr
            standby.says("lease.taken")
            standby.says("run.started")
            standby.process.send_signal(signal.SIGTERM)
            assert standby.ended() == 0, standby.stderr
    moved = checkpoint()
    assert moved["run_id"] != before["run_id"]


def test_a_standby_that_is_stopped_while_it_waits_ends_with_0(tmp_path: Path) -> None:
    (tmp_path / "dstream.hcl").write_text(HCL % ("10ms", 1_000_000))
    dstream = DStream(tmp_path)
    with dstream.running("run", "count") as run:
        run.says("run.started")
        with dstream.running("run", "count", "--standby") as standby:
            standby.says("lease.waiting")
            standby.process.send_signal(signal.SIGTERM)
            assert standby.ended() == 0, standby.stderr
        run.process.send_signal(signal.SIGTERM)
        assert run.ended() == 0


def test_a_standby_with_an_invalid_config_is_refused_before_it_waits(tmp_path: Path) -> None:
    """It would count as ready, and fail when it has to take over."""
    (tmp_path / "dstream.hcl").write_text(HCL % ("10ms", 1_000_000))
    (tmp_path / "new.hcl").write_text((HCL % ("10ms", 1)).replace("interval", "intervall"))
    dstream = DStream(tmp_path)
    with dstream.running("run", "count") as run:
        run.says("run.started")
        done = dstream("run", "count", "--standby", "--config", "new.hcl")
        assert done.returncode == 3
        assert 'unknown setting "intervall"' in done.stderr
        assert "lease.waiting" not in done.stderr
        run.process.send_signal(signal.SIGTERM)
        assert run.ended() == 0

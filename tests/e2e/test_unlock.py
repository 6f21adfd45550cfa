"""`dstream unlock` releases a lock that another host left behind, once that is confirmed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dstream.infra.engine.environment import place_of
from dstream.protocol.messages import Infrastructure
from tests.conformance.commands import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_unlock_reports_that_a_stack_is_not_locked(place: Place) -> None:
    place.queues()
    free = place.dstream("unlock", "t")
    assert (free.returncode, free.stdout) == (0, "The stack of t is not locked.\n")
    assert json.loads(place.dstream("unlock", "t", "--json").stdout)["released"] is False
    assert place.dstream("unlock", "no-such-task").returncode == 3


def locked_elsewhere(place: Place) -> Path:
    """A lock left by an engine on another host."""
    work_dir = str(place.folder / ".dstream" / "infra" / "t" / "dev")
    folder = place_of(Infrastructure("t", "dev", work_dir), {}).lock_folder
    assert folder
    folder.mkdir(parents=True)
    path = folder / "1b2c.json"
    lock = {"pid": 412, "username": "alice", "hostname": "elsewhere", "timestamp": "2026-11-25T09:12:04.1Z"}
    path.write_text(json.dumps(lock))
    return path


def test_unlock_names_the_holder_and_needs_confirmation(place: Place) -> None:
    place.queues()
    path = place.folder / "dstream.hcl"
    path.write_text('dstream {\n  audit {\n    file = "audit.jsonl"\n  }\n}\n' + path.read_text())
    lock = locked_elsewhere(place)
    unasked = place.dstream("unlock", "t")
    assert unasked.returncode == 3
    assert "t is locked by alice@elsewhere (pid 412) since 2026-11-25 09:12:04 UTC." in unasked.stderr
    assert "[lifecycle.needs_yes]" in unasked.stderr
    code, shown = place.at_a_terminal(b"n\n", "unlock", "t")
    assert (code, "The lock of t will be released. Continue? [y/N]" in shown) == (130, True)
    assert lock.exists()
    done = place.dstream("unlock", "t", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["holders"][0]["user"] == "alice"
    assert not lock.exists()
    intent, result = map(json.loads, (place.folder / "audit.jsonl").read_text().splitlines())
    assert (intent["command"], intent["details"]["holders"][0]["user"]) == ("unlock", "alice")
    assert result["result"] == "succeeded"

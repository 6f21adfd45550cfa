"""Which process holds a lock, and whether it is dead."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dstream.infra.engine.environment import StackLocation
from dstream.infra.engine.locks import StackLockHolder, holders_in, locked, named_in, remove_dead
from dstream.infra.engine.torn import remove_torn

CONFLICT = """error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the
  file:///x/2dfe7925.json?no_tmp_dir=true: created by root@vm (pid 4146) at 2026-11-25T21:11:51Z"""
HERE = socket.gethostname()


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "123Z")


def place(tmp_path: Path) -> StackLocation:
    found = StackLocation("orders", "dev", tmp_path / "work", tmp_path.as_uri())
    assert found.lock_folder is not None
    found.lock_folder.mkdir(parents=True)
    return found


def test_the_engines_message_names_the_holder() -> None:
    (holder,) = named_in(CONFLICT)
    assert (holder.user, holder.host, holder.pid) == ("root", "vm", 4146)
    error = locked([holder])
    assert error.message == "the infrastructure is locked by root@vm (pid 4146) since 2026-11-25 21:11:51 UTC"
    assert locked([]).message == "the infrastructure is locked by another command"


def test_a_holder_counts_as_dead_only_if_certain() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert StackLockHolder("a", HERE, ended.pid, now()).is_dead
    assert not StackLockHolder("a", "another-host", ended.pid, now()).is_dead
    assert not StackLockHolder("a", HERE, os.getpid(), now()).is_dead
    assert not StackLockHolder("a", HERE, os.getpid(), "not a time").is_dead
    assert not StackLockHolder("a", HERE, 1, now()).is_dead


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_holder_on_this_host_says_what_it_does() -> None:
    waits = [sys.executable, "-c", "print(flush=True); input()", "--non-interactive", "up"]
    engine = subprocess.Popen(waits, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert engine.stdout is not None
    engine.stdout.readline()  # before that, /proc may show no arguments yet
    try:
        holder = StackLockHolder("ann", HERE, engine.pid, "2026-11-25T21:11:51Z")
        assert str(holder) == f"ann@{HERE} (pid {engine.pid}, dstream init) since 2026-11-25 21:11:51 UTC"
        assert StackLockHolder("ann", "another-host", engine.pid, now()).activity == ""
    finally:
        engine.kill()
        engine.communicate()
    assert StackLockHolder("ann", HERE, engine.pid, now()).activity == ""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_zombie_and_a_reused_pid_count_as_dead() -> None:
    assert StackLockHolder("a", HERE, os.getpid(), "2001-01-01T00:00:00.5Z").is_dead
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    assert StackLockHolder("a", HERE, zombie.pid, now()).is_dead
    zombie.wait()


def test_only_dead_locks_are_removed(tmp_path: Path) -> None:
    where = place(tmp_path)
    folder = where.lock_folder
    assert folder is not None
    for name, pid in (("living", os.getpid()), ("dead", 2**22 - 1)):
        lock = {"pid": pid, "username": "ann", "hostname": HERE, "timestamp": now()}
        (folder / f"{name}.json").write_text(json.dumps(lock))
        (folder / f"{name}.json.attrs").write_text("{}")
    (folder / "half.json").write_text('{"pid": ')
    assert len(holders_in(where)) == 2
    assert [each.pid for each in remove_dead(where)] == [2**22 - 1]
    assert sorted(each.name for each in folder.iterdir()) == ["half.json", "living.json", "living.json.attrs"]
    assert remove_dead(where) == []


def test_remote_backends_have_no_known_holders() -> None:
    assert holders_in(StackLocation("orders", "dev", Path("w"), "azblob://state")) == []


def test_torn_attributes_are_removed_unless_a_live_engine_holds_a_lock(tmp_path: Path) -> None:
    where = place(tmp_path)
    assert where.record_file is not None
    assert where.lock_folder is not None
    where.record_file.parent.mkdir(parents=True)
    attributes = where.record_file.with_name("dev.json.attrs")
    assert not remove_torn(where), "no attributes exist"
    attributes.write_text('{"user.content_type": "application/json"}')
    assert not remove_torn(where)
    attributes.write_text("")
    lock = {"pid": os.getpid(), "username": "ann", "hostname": HERE, "timestamp": now()}
    (where.lock_folder / "living.json").write_text(json.dumps(lock))
    assert not remove_torn(where)
    assert attributes.exists()
    (where.lock_folder / "living.json").unlink()
    assert remove_torn(where)
    assert not attributes.exists()

"""The task lock has one holder at a time and is released when the holder dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dstream.errors import LockedError, SystemFault
from dstream.state import TaskLock

SINCE = datetime(2026, 11, 25, 9, 12, 0, tzinfo=UTC)


def test_a_second_holder_gets_an_error_that_names_the_first(tmp_path: Path) -> None:
    path = tmp_path / "dev" / "orders.lock"
    with TaskLock(path, "orders", SINCE):
        with pytest.raises(LockedError) as caught, TaskLock(path, "orders", SINCE):
            pass
        assert caught.value.code == "state.locked"
        assert f"(pid {os.getpid()}, dstream run) since 2026-11-25T09:12:00Z" in caught.value.message
        holder = TaskLock.holder(path)
        assert holder is not None
        assert holder.pid == os.getpid()
    assert TaskLock.holder(path) is None
    with TaskLock(path, "orders", SINCE):
        pass


def test_a_planted_link_is_refused_and_its_target_kept(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "orders.lock").symlink_to(victim)
    with pytest.raises(SystemFault, match="it is a symbolic link") as caught:
        TaskLock(tmp_path / "orders.lock", "orders", SINCE).__enter__()
    assert caught.value.code == "state.write_failed"
    assert victim.read_text() == "precious"


def test_a_damaged_note_names_no_holder(tmp_path: Path) -> None:
    path = tmp_path / "orders.lock"
    with TaskLock(path, "orders", SINCE):
        path.write_bytes(path.read_bytes().replace(b'"user":"', b'"user":"\xff'))
        assert TaskLock.holder(path) is None
        with pytest.raises(LockedError, match="by another run"), TaskLock(path, "orders", SINCE):
            pass


def test_the_kernel_releases_the_lock_of_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "orders.lock"
    code = (
        "import sys, datetime, pathlib, time\n"
        "from dstream.state import TaskLock\n"
        "with TaskLock(pathlib.Path(sys.argv[1]), 'orders', datetime.datetime.now(datetime.timezone.utc)):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LockedError, match=f"pid {holder.pid}"), TaskLock(path, "orders", SINCE):
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    assert path.read_bytes(), "it could not remove its note"
    assert TaskLock.holder(path) is None
    with TaskLock(path, "orders", SINCE):
        pass

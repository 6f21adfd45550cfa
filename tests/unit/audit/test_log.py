"""The audit log on a real file system: what it refuses to write to, and what a failed write leaves."""

from __future__ import annotations

import fcntl
import os
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from dstream.audit import AuditLog, check_chain, read_lines
from dstream.errors import ConfigError, SystemFault
from tests.running import wait_until
from tests.unit.audit.test_chain import entry


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def append(path: Path, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        AuditLog(path).append(entry(number))


def test_entries_are_appended_as_a_chain_that_only_the_owner_can_read(path: Path) -> None:
    append(path, 3)
    chain = check_chain(read_lines(path))
    assert (chain.entries, chain.broken_line) == (3, 0)
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_entry_may_be_longer_than_a_block(path: Path) -> None:
    for number in range(3):
        AuditLog(path).append(msgspec.structs.replace(entry(number), details={"long": "x" * 200_000}))
    assert check_chain(read_lines(path)).entries == 3


def test_a_writer_that_waits_for_another_one_continues_its_chain(path: Path, tmp_path: Path) -> None:
    append(path, 1)
    (tmp_path / "copy").write_bytes(path.read_bytes())
    append(tmp_path / "copy", 1, first=1)
    of_the_other = (tmp_path / "copy").read_bytes().removeprefix(path.read_bytes())
    attempts: list[float] = []

    def clock() -> float:
        attempts.append(0.0)
        return 0.0

    with path.open("ab") as other, ThreadPoolExecutor() as pool:
        fcntl.flock(other, fcntl.LOCK_EX)
        waiting = pool.submit(AuditLog(path, clock).append, entry(2))
        wait_until(lambda: len(attempts) > 1, "the writer waits for the lock")
        other.write(of_the_other)
        other.flush()
        fcntl.flock(other, fcntl.LOCK_UN)
        waiting.result()
    chain = check_chain(read_lines(path))
    assert (chain.entries, chain.broken_line) == (3, 0)


def refused(path: Path) -> str:
    with pytest.raises(SystemFault) as caught:
        append(path, 1)
    assert caught.value.code == "audit.unwritable"
    return caught.value.message


def test_a_symbolic_link_is_refused_and_its_target_stays_as_it_is(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "other"
    target.write_text("precious")
    path.symlink_to(target)
    assert "symbolic link" in refused(path)
    assert target.read_text() == "precious"


def test_what_is_not_a_regular_file_is_refused_without_waiting(path: Path, tmp_path: Path) -> None:
    os.mkfifo(path)
    assert "not a regular file" in refused(path)
    assert "directory" in refused(tmp_path).lower()
    assert "not a regular file" in refused(Path("/dev/null"))


def test_a_missing_folder_is_not_created(tmp_path: Path) -> None:
    refused(tmp_path / "volume" / "audit.jsonl")
    assert not (tmp_path / "volume").exists()


def test_a_write_that_fails_halfway_leaves_the_log_as_it_was(path: Path) -> None:
    append(path, 1)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard))  # Python ignores SIGXFSZ
    try:
        message = refused(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in message
    assert path.read_bytes() == before
    append(path, 1, first=1)
    assert check_chain(read_lines(path)).entries == 2


def test_a_line_that_a_crash_left_incomplete_stays_and_the_next_entry_starts_a_new_line(path: Path) -> None:
    append(path, 2)
    path.write_bytes(path.read_bytes()[:-30])
    append(path, 1, first=2)
    chain = check_chain(read_lines(path))
    assert (chain.entries, chain.torn, chain.broken_line) == (2, (2,), 0)


def test_a_log_that_another_process_keeps_locked_is_refused_after_a_while(path: Path) -> None:
    append(path, 1)
    times = iter([0.0, 5.0, 10.1])
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(SystemFault, match="locked it for 10 s"):
            AuditLog(path, clock=lambda: next(times)).append(entry(1))


def test_a_log_that_cannot_be_read_is_an_error(path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the audit log") as caught:
        list(read_lines(path))
    assert caught.value.code == "audit.unreadable"

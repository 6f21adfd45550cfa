"""Every write of the host, with every error that a disk can give: a clear error, or the run continues without it.

Nothing is acknowledged to the input that is not stored. The errors are injected into this process's calls; the
providers are real processes without faults. Calls on a descriptor go by the path that the descriptor was opened with.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dstream import cache
from dstream.errors import DStreamError
from tests.conformance.runs import Recorded, job, provider, run, sink_numbers, stored_state

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="finds a descriptor's path in Linux's /proc")

ERRNOS = [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO]


@dataclass(frozen=True)
class Write:
    """A call of `os` on a file whose path contains `path`. `skip`: how many such calls succeed first."""

    call: str
    path: str
    skip: int = 0

    def __str__(self) -> str:
        return f"{self.call} {self.path.strip('/')}" + (f" {self.skip}" if self.skip else "")


CHECKPOINT = [
    Write("open", "/state/dev/."),
    Write("write", "/state/dev/."),
    Write("fsync", "/state/dev/."),
    Write("replace", "/state/dev/."),
    Write("open", "/state/dev", skip=-1),
    Write("fsync", "/state/dev", skip=-1),
]
"""Storing a checkpoint, whose draft is a hidden file; the last two make the new file's name durable."""
LOCK = [
    Write("mkdir", "/state/dev"),
    Write("open", "orders.lock"),
    Write("flock", "orders.lock"),
    Write("ftruncate", "orders.lock"),
    Write("pwrite", "orders.lock"),
]
UNNEEDED = [
    Write("ftruncate", "orders.lock", skip=1),  # the note of the lock's holder, at the end
    Write("mkdir", "/socks"),
    Write("unlink", "orders.sock"),
    Write("chmod", "orders.sock"),
    Write("unlink", "orders.sock", skip=1),  # at the end
]
CACHE = [Write("mkdir", "/dstream"), *(Write(call, "/dstream/") for call in ("open", "write", "replace"))]


class Injected:
    """Makes one kind of call fail; `count`: how often it did."""

    def __init__(self, patch: pytest.MonkeyPatch, write: Write, number: int) -> None:
        self._write = write
        self._number = number
        self._seen = 0
        self.count = 0
        module = "fcntl" if write.call == "flock" else "os"
        if write.call == "write":
            patch.setattr("os.fdopen", self._opened(os.fdopen))
        else:
            real = getattr(__import__(module), write.call)
            patch.setattr(f"{module}.{write.call}", self._failing(real))

    def _failing(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(target: Any, *arguments: Any, **named: Any) -> Any:
            self._check(target)
            return real(target, *arguments, **named)

        return call

    def _opened(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(descriptor: int, *arguments: Any, **named: Any) -> Any:
            file = real(descriptor, *arguments, **named)
            if self._is_meant(descriptor):
                file = _Unwritable(file, lambda: self._check(descriptor))
            return file

        return call

    def _check(self, target: Any) -> None:
        if not self._is_meant(target):
            return
        self._seen += 1
        if self._seen > self._write.skip:
            self.count += 1
            raise OSError(self._number, os.strerror(self._number))

    def _is_meant(self, target: Any) -> bool:
        path = os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else os.fspath(target)
        return path.endswith(self._write.path) if self._write.skip < 0 else self._write.path in path


class _Unwritable:
    def __init__(self, file: Any, check: Callable[[], None]) -> None:
        self._file = file
        self._check = check

    def write(self, _: bytes) -> int:
        self._check()
        raise AssertionError("the check raises")

    def __enter__(self) -> _Unwritable:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def rows(folder: Path) -> Any:
    """A job of ten rows with two checkpoints, whose input notes the acks that it received."""
    return job(
        folder,
        input=provider("input.py", 3, rows=10, every=5, acks=str(folder / "acks")),
        socket_dir=folder / "socks",
        exit_grace_s=0.5,
    )


def acknowledged(folder: Path) -> list[int]:
    return [int(seq) for seq in (folder / "acks").read_text().split()] if (folder / "acks").exists() else []


@pytest.mark.parametrize("number", ERRNOS, ids=errno.errorcode.get)
@pytest.mark.parametrize("write", CHECKPOINT, ids=str)
def test_a_checkpoint_that_cannot_be_stored_is_an_error_and_not_acknowledged(
    write: Write, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        injected = Injected(patch, write, number)
        with pytest.raises(DStreamError, match=f"cannot store the checkpoint in .*: {os.strerror(number)}") as caught:
            run(rows(tmp_path))
    assert injected.count
    assert caught.value.code == "state.write_failed"
    assert acknowledged(tmp_path) == []
    run(rows(tmp_path))
    assert sorted(set(sink_numbers(tmp_path)))[:10] == list(range(10))
    assert stored_state(tmp_path) is not None


@pytest.mark.parametrize("number", ERRNOS, ids=errno.errorcode.get)
@pytest.mark.parametrize("write", LOCK, ids=str)
def test_nothing_starts_if_the_lock_cannot_be_taken(
    write: Write, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = Recorded()
    with monkeypatch.context() as patch:
        injected = Injected(patch, write, number)
        with pytest.raises(DStreamError, match=f"cannot write the lock file .*: {os.strerror(number)}") as caught:
            run(rows(tmp_path), events)
    assert injected.count == 1
    assert caught.value.code == "state.write_failed"
    assert not events.named("provider.ready")


@pytest.mark.parametrize("number", ERRNOS, ids=errno.errorcode.get)
@pytest.mark.parametrize("write", UNNEEDED, ids=str)
def test_a_write_that_no_row_depends_on_does_not_stop_a_run(
    write: Write, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = Recorded()
    with monkeypatch.context() as patch:
        injected = Injected(patch, write, number)
        assert run(rows(tmp_path), events).drained
    assert injected.count
    assert acknowledged(tmp_path)[-1] == 2
    assert sink_numbers(tmp_path) == list(range(10))
    assert bool(events.named("control.unavailable")) == ("sock" in write.path and not write.skip)


@pytest.mark.parametrize("number", ERRNOS, ids=errno.errorcode.get)
@pytest.mark.parametrize("write", CACHE, ids=str)
def test_a_cache_that_cannot_be_written_is_left_as_it_was(
    write: Write, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if write.call == "replace":
        cache.write("known", b"old")
    before = cache.read("known")
    with monkeypatch.context() as patch:
        injected = Injected(patch, write, number)
        cache.write("known", b"new")
    assert injected.count
    assert cache.read("known") == before
    assert len(list(tmp_path.glob("dstream/*"))) == bool(before)

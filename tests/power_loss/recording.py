"""Runs a command and records every call that decides what a power loss leaves of a folder (recorder.c)."""

from __future__ import annotations

import atexit
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from tests.power_loss.disk import Disk

SOURCE = Path(__file__).with_name("recorder.c")


@cache
def _recorder() -> Path:
    """Build the recorder, once per process; skip the test without a C compiler or the GNU C library."""
    if not shutil.which("cc") or platform.libc_ver()[0] != "glibc":
        pytest.skip("the recorder needs a C compiler and the GNU C library")
    folder = Path(tempfile.mkdtemp(prefix="dstream-recorder-"))
    atexit.register(shutil.rmtree, folder)
    library = folder / "recorder.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl", "-lpthread"], check=True)
    return library


class Recording:
    """What a command does to `root`, call by call."""

    def __init__(self, root: Path, record: Path) -> None:
        self._root = root
        self._record = record

    def run(self, command: Sequence[str | Path], cwd: Path, env: Mapping[str, str] = os.environ) -> Iterator[Disk]:
        """Run the command to its end, which must be a success; then yield the disk after each call, one object that
        changes. Everything that was there before is durable."""
        disk = Disk(self._root)
        preload = {"LD_PRELOAD": str(_recorder()), "RECORD_ROOT": str(self._root), "RECORD_FILE": str(self._record)}
        self._record.unlink(missing_ok=True)
        done = subprocess.run(command, cwd=cwd, env={**env, **preload}, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        yield disk
        for line in self._record.read_text().splitlines():
            disk.call(*line.split("\t"))
            yield disk
        assert disk.files == Disk(self._root).files, "a call is missing in the record"

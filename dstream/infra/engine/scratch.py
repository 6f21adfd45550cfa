"""Private folders for files that only one command needs, such as update plans and exported records.

Both may contain settings. A killed command leaves its folder behind; the next one removes it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "plan-"


@contextmanager
def scratch_folder(work_dir: Path) -> Iterator[Path]:
    """Yield a new folder in `work_dir`, for this user only, and remove those of dead commands.

    A living command holds a lock on its folder. The lock on `work_dir` keeps others from removing a folder that is not
    locked yet.
    """
    with _locked(work_dir, fcntl.LOCK_EX):
        for left in work_dir.glob(f"{_PREFIX}*"):
            _remove_if_unused(left)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=work_dir))
        held = os.open(folder, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def private_file(folder: Path, name: str) -> Path:
    """Create an empty file that only this user can read, whatever umask the engine writes it with."""
    path = folder / name
    path.touch(mode=0o600)
    return path


def _remove_if_unused(folder: Path) -> None:
    try:
        with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:  # in use, or gone already
        return


@contextmanager
def _locked(folder: Path, operation: int) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)

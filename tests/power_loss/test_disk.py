"""The recorded disk loses what a program did not sync, and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.power_loss.recording import Recording

WRITE = "file = open('draft', 'wb'); file.write(b'new'); file.flush()"
SYNC = "os.fsync(file.fileno())"
RENAME = "os.replace('draft', 'kept')"
SYNC_FOLDER = "folder = os.open('.', os.O_RDONLY); os.fsync(folder)"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([WRITE, SYNC, RENAME, SYNC_FOLDER], {b"new"}),
        ([WRITE, SYNC, RENAME], {b"old", b"new"}),
        ([WRITE, RENAME, SYNC_FOLDER], {b"new", b"", b"n", b"\0\0\0"}),
        ([WRITE, SYNC_FOLDER, RENAME], {b"old", b"new", b"", b"n", b"\0\0\0"}),
        (["os.unlink('kept')"], {b"old", None}),
        (["os.unlink('kept')", SYNC_FOLDER], {None}),
        (["file = open('kept', 'ab'); file.write(b'er'); file.flush()"], {b"old", b"older", b"olde", b"old\0\0"}),
        (["file = open('kept', 'r+b'); file.truncate(1)", SYNC], {b"o"}),
        (["os.mkdir('kept2'); os.rename('kept', 'kept2/kept')"], {b"old", None}),
    ],
    ids=lambda value: "; ".join(value) if isinstance(value, list) else "",
)
def test_a_disk_has_only_what_was_synced_for_sure(
    steps: list[str], expected: set[bytes | None], tmp_path: Path
) -> None:
    """`expected`: the possible contents of `kept`, None: there is no such file."""
    root = tmp_path / "disk"
    root.mkdir()
    (root / "kept").write_bytes(b"old")
    recording = Recording(root, tmp_path / "record")
    *_, disk = recording.run([sys.executable, "-c", f"import os; {'; '.join(steps)}"], root)
    assert {files.get("kept") for files in disk.after_loss()} == expected

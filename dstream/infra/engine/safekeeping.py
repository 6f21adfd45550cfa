"""Keeps the record of a file backend whole when its disk is full.

The engine replaces its record atomically, but if a write fails, it puts the truncated file in place (gocloud.dev
v0.46.1, blob.WriteAll: `Close` after a failed `Write` completes the blob, because the checksum covers the unwritten
part). It then retries for half a minute, and its next save copies the truncated file over its backup.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from dstream.errors import SystemFault
from dstream.infra.engine.locks import holders_in

if TYPE_CHECKING:
    from dstream.infra.engine.environment import StackLocation

_COPIES = 4
"""The record, its next version, the engine's backup and its history (pulumi/pkg/backend/diy/state.go)."""
_RESERVE_BYTES = 4 << 20
_MB = 1 << 20


class RecordKeeper:
    """Holds on to the last complete record while the engine works: a hard link, which needs no space.

    On a file system without hard links, the engine's own backup is the only copy. A version that lasts for less than
    the time between two looks is missed; the next `init` then reports what only that version recorded as existing.
    """

    def __init__(self, record: Path | None) -> None:
        """`record`: the record's file; None for a remote backend, whose uploads are atomic."""
        self._record = record
        self._seen: tuple[int, ...] = ()
        self.is_damaged = False

    def look(self) -> bool:
        """Return whether the engine has replaced the record with a truncated one. Link it if it is new and complete."""
        if self._record is None or self.is_damaged:
            return self.is_damaged
        try:
            found = self._record.stat()
        except FileNotFoundError:
            return False
        version = (found.st_ino, found.st_mtime_ns, found.st_size)
        if version != self._seen:
            self._seen = version
            self.is_damaged = not self._link()
        return self.is_damaged

    def end(self) -> bool:
        """Restore a damaged record, or remove the link, after the engine has exited. Return whether it was damaged."""
        if self.look():
            self.restore()
        elif self._record is not None:
            _kept(self._record).unlink(missing_ok=True)
        return self.is_damaged

    def restore(self) -> bool:
        """Replace the record with the newest complete copy. Return False if there is none."""
        assert self._record is not None
        complete = [each for each in (_kept(self._record), _backup(self._record)) if _is_complete(each)]
        if not complete:
            return False
        os.replace(max(complete, key=lambda each: each.stat().st_mtime_ns), self._record)
        self._record.with_name(f"{self._record.name}.attrs").unlink(missing_ok=True)
        return True

    def _link(self) -> bool:
        """Link the current version if it is complete. It may be replaced at any moment, so check what was linked."""
        assert self._record is not None
        kept = _kept(self._record)
        fresh = kept.with_name(f"{kept.name}.new")
        try:
            fresh.unlink(missing_ok=True)
            os.link(self._record, fresh)
        except OSError:
            return _is_complete(self._record) or not self._record.exists()
        if is_complete := _is_complete(fresh):
            os.replace(fresh, kept)
        fresh.unlink(missing_ok=True)  # also after replacing a link to the same file, which does nothing (rename(2))
        return is_complete


def check_folders(place: StackLocation) -> None:
    """Raise SystemFault `infra.not_writable` or `infra.disk_full` if the engine could not write its files."""
    record = place.record_file
    size = record.stat().st_size if record and record.exists() else 0
    needed = _RESERVE_BYTES + _COPIES * size
    folders = (place.folder, record and record.parent, place.lock_folder, place.work_dir, Path(tempfile.gettempdir()))
    for folder in filter(None, folders):
        existing = next(each for each in (folder, *folder.parents) if each.exists())
        if not os.access(existing, os.W_OK | os.X_OK):
            raise SystemFault(
                "infra.not_writable",
                f"{existing} is not writable: it belongs to another user, or its file system is read-only",
                hint="Nothing was changed. Make it writable for this user and run the command again.",
            )
        free = shutil.disk_usage(existing).free
        if free < needed:
            raise SystemFault(
                "infra.disk_full",
                f"{folder} has {free / _MB:.1f} MB of free space, and the engine may need {needed / _MB:.1f} MB",
                hint="Nothing was changed. Free some space and run the command again.",
            )


def repair_record(place: StackLocation) -> bool:
    """Restore a truncated record that a killed command left behind. Return whether that was needed.

    Raises SystemFault `infra.record_damaged` if there is no complete copy, or another command is at work.
    """
    record = place.record_file
    if record is None or not record.exists() or _is_complete(record):
        return False
    keeper = RecordKeeper(record)
    if any(not each.is_dead for each in holders_in(place)) or not keeper.restore():
        raise SystemFault(
            "infra.record_damaged",
            f"the record {record} is incomplete: the disk was full when the engine saved it",
            hint=f"Restore it from a copy, such as the newest file in {_backups(place, record)}. Without one, move it "
            "away and run `dstream init --import`, which records the existing resources again.",
        )
    return True


def _kept(record: Path) -> Path:
    """The engine ignores files with unknown endings in this folder (pulumi/pkg/backend/diy/store.go)."""
    return record.with_name(f"{record.name}.kept")


def _backup(record: Path) -> Path:
    return record.with_name(f"{record.name}.bak")


def _backups(place: StackLocation, record: Path) -> Path:
    return record.parents[2] / "backups" / place.project / place.stack


def _is_complete(record: Path) -> bool:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        msgspec.json.decode(record.read_bytes(), type=dict[str, msgspec.Raw])
        return True
    return False

"""A JSON Lines file of rows that could not be delivered; flushed to disk before a row counts as settled.

The run only appends; `dstream deadletter` only removes. Both hold the file's flock while they write. A removal replaces
the file, so a writer that has waited for the lock looks whether the file is still the same one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from dstream.private_files import open_private, replace_private, sync_folder
from dstream.sdk.errors import LockedError, SystemFault
from dstream_servicebus.publish.rejected import Rejected

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_decode = msgspec.json.Decoder(Rejected).decode


class DeadLetterFile:
    """The file; it is created on first use. Usable by several threads and processes."""

    def __init__(self, path: str) -> None:
        self._path = path

    def check(self) -> None:
        """Raise SystemFault if rows cannot be added. Creates nothing."""
        if os.path.islink(self._path):
            raise self._failed("it is a symbolic link, which DStream does not follow; set the path of the file itself")
        existing = self._path if os.path.exists(self._path) else _folder_of(self._path)
        if not os.access(existing, os.W_OK):
            raise self._failed("it is not writable" if os.path.exists(existing) else "its folder does not exist")

    def add(self, rejected: Rejected) -> None:
        """Append the row. Raises SystemFault if that fails; the row must then stay unsettled."""
        data = msgspec.json.encode(rejected) + b"\n"
        try:
            with self._locked(os.O_RDWR | os.O_APPEND | os.O_CREAT) as descriptor:
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    data = b"\n" + data  # a crash has cut off the last line, whose row was never settled
                try:
                    _write_all(descriptor, data)
                    os.fsync(descriptor)
                except OSError:
                    with contextlib.suppress(OSError):
                        os.ftruncate(descriptor, size)
                    raise
                if size == 0:
                    sync_folder(Path(_folder_of(self._path)))
        except OSError as error:
            raise self._failed(error.strerror) from error

    def lines(self) -> list[bytes]:
        """Return the lines without their newlines; none if there is no file. Raises SystemFault."""
        try:
            with self._locked(os.O_RDONLY) as descriptor:
                data = _read_all(descriptor)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._failed(error.strerror, "read from") from error
        return [line for line in data.split(b"\n") if line.strip()]

    def remove(self, numbers: Collection[int]) -> None:
        """Remove lines, numbered from 0 as in `lines`, durably. Hold `exclusive` meanwhile. Raises SystemFault."""
        try:
            with self._locked(os.O_RDONLY) as descriptor:
                lines = [line for line in _read_all(descriptor).split(b"\n") if line.strip()]
                rest = b"".join(line + b"\n" for number, line in enumerate(lines) if number not in numbers)
                replace_private(Path(self._path), rest, stat.S_IMODE(os.fstat(descriptor).st_mode))
        except OSError as error:
            raise self._failed(error.strerror) from error

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other processes from removing lines. Raises LockedError if one is doing so, SystemFault."""
        try:
            descriptor = open_private(Path(f"{self._path}.lock"), os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise self._failed(error.strerror) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise LockedError(
                "servicebus.dead_letters_locked",
                f"another command is replaying or purging {self._path}",
                hint="Wait for it to end, then try again.",
            ) from error
        try:
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _locked(self, flags: int) -> Iterator[int]:
        """Open the file and hold its flock. Raises OSError."""
        while True:
            descriptor = open_private(Path(self._path), flags)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if self._is_current(descriptor):
                    yield descriptor
                    return
            finally:
                os.close(descriptor)

    def _is_current(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(descriptor))
        except FileNotFoundError:
            return False

    def _failed(self, why: str | None, action: str = "write to") -> SystemFault:
        return SystemFault(
            "servicebus.dead_letter_failed",
            f"cannot {action} the dead-letter file {self._path}: {why}",
            hint="Free disk space or choose another file, then try again. No row was lost.",
            config_path="dead_letter.file",
        )


def parse(line: bytes) -> Rejected | None:
    """Return the row of a line; None if it is unreadable, such as one that a crash has cut off."""
    try:
        return _decode(line)
    except _UNREADABLE:
        return None


def _read_all(descriptor: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        return file.read()


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _folder_of(path: str) -> str:
    return os.path.dirname(os.path.abspath(path))

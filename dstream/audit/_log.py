"""Appends to the audit log: durable, one writer at a time, never through a symbolic link."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from dstream.audit._chain import line_hash
from dstream.audit._entry import AuditEntry, encode_entry
from dstream.errors import ConfigError, SystemFault
from dstream.private_files import sync_folder

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""O_NONBLOCK: a FIFO must not stop the command; a regular file ignores it."""
_LOCK_TIMEOUT_S = 10.0
_POLL_S = 0.05
_CHUNK = 64 * 1024


class AuditLog:
    """The log at `path`, with mode 0600 if it is created. Its folder must exist: a missing one may be a volume that is
    not mounted."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock

    def append(self, entry: AuditEntry) -> None:
        """Append the entry with the hash of the line before, and sync it. Raises SystemFault `audit.unwritable`; the
        log is then unchanged, unless the disk does not even accept that."""
        try:
            with contextlib.ExitStack() as stack:
                descriptor = os.open(self.path, _FLAGS, 0o600)
                stack.callback(os.close, descriptor)
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise OSError(errno.EINVAL, "not a regular file")
                self._lock(descriptor)
                _append(descriptor, entry)
                sync_folder(self.path.parent)
        except OSError as error:
            is_link = error.errno == errno.ELOOP
            raise SystemFault(
                "audit.unwritable",
                f"cannot write the audit log {self.path}: {'it is a symbolic link' if is_link else error.strerror}",
                hint="Nothing was changed. Make the file writable, or set another in the block `audit` or in "
                "DSTREAM_AUDIT_FILE; its folder must exist.",
            ) from error

    def _lock(self, descriptor: int) -> None:
        """Wait for other writers, which hold the lock for milliseconds."""
        deadline_s = self._clock() + _LOCK_TIMEOUT_S
        while True:
            try:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if self._clock() > deadline_s:
                    raise OSError(error.errno, f"another process has locked it for {_LOCK_TIMEOUT_S:g} s") from error
                time.sleep(_POLL_S)


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines, without line breaks, that the log has now. Raises ConfigError `audit.unreadable`."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # a line that is being written counts as a whole
            left = os.fstat(file.fileno()).st_size
            fcntl.flock(file, fcntl.LOCK_UN)
            while left > 0 and (line := file.readline(left)):
                left -= len(line)
                yield line.removesuffix(b"\n")
    except OSError as error:
        raise ConfigError("audit.unreadable", f"cannot read the audit log {path}: {error.strerror}") from error


def _append(descriptor: int, entry: AuditEntry) -> None:
    size = os.fstat(descriptor).st_size
    last, is_complete = _last_line(descriptor, size)
    chained = msgspec.structs.replace(entry, previous=line_hash(last) if size else "")
    rest = (b"" if is_complete else b"\n") + encode_entry(chained) + b"\n"
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):  # an append-only file (chattr +a) keeps the incomplete line
            os.ftruncate(descriptor, size)
        raise


def _last_line(descriptor: int, size: int) -> tuple[bytes, bool]:
    """Return the last line without its line break, and whether it has one; an empty file counts as complete."""
    end, tail = size, b""
    while end and b"\n" not in tail[:-1]:
        start = max(0, end - _CHUNK)
        tail = os.pread(descriptor, end - start, start) + tail
        end = start
    return tail.removesuffix(b"\n").rpartition(b"\n")[2], tail.endswith(b"\n") or not size

"""A JSON Lines file of events that are too large for a message; flushed to disk before the event counts as settled."""

from __future__ import annotations

import os
import threading

import msgspec

from dstream.sdk.errors import SystemFault


class Rejected(msgspec.Struct, frozen=True):
    """One line of the file. After a crash, the file may contain an event twice, with the same message id."""

    reason: str
    entity: str
    message_id: str
    size: int
    """Bytes of the message."""
    limit: int | None
    """None if the service refused the message without reporting its limit."""
    event: msgspec.Raw
    """The body as it would have been sent."""


class DeadLetterFile:
    """Appends to the file, which is created on first use. Thread-safe."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()

    def add(self, rejected: Rejected) -> None:
        """Append the event. Raises SystemFault if that fails; the event must then stay unsettled."""
        line = msgspec.json.encode(rejected) + b"\n"
        try:
            with self._lock:
                created = not os.path.exists(self._path)
                descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    _write_all(descriptor, line)
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                if created:
                    _sync_folder(self._path)
        except OSError as error:
            raise SystemFault(
                "servicebus.dead_letter_failed",
                f"cannot write to the dead-letter file {self._path}: {error.strerror}",
                hint="Free disk space or choose another file, then run again. The event was not acknowledged.",
                config_path="dead_letter.file",
            ) from error


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _sync_folder(path: str) -> None:
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

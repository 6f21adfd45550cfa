"""Notices who opens files, in any process: Linux's inotify (inotify(7))."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_IN_OPEN = 0x20
_EVENT = struct.Struct("iIII")


@contextmanager
def opened_files(folder: Path) -> Iterator[set[str]]:
    """Yield a set that contains, after the body, the names of the files directly in the folder that were opened, and ""
    if the folder itself was."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert descriptor >= 0, os.strerror(ctypes.get_errno())
    names: set[str] = set()
    try:
        assert libc.inotify_add_watch(descriptor, bytes(folder), _IN_OPEN) >= 0, os.strerror(ctypes.get_errno())
        yield names
        try:
            events = os.read(descriptor, 1 << 20)
        except BlockingIOError:
            return
        at = 0
        while at < len(events):
            *_, length = _EVENT.unpack_from(events, at)
            at += _EVENT.size
            names.add(events[at : at + length].rstrip(b"\0").decode())
            at += length
    finally:
        os.close(descriptor)

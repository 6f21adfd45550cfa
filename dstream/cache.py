"""Files that make later commands faster and are safe to delete. Best effort: an unreadable file counts as absent."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path


def folder() -> Path:
    """`$XDG_CACHE_HOME/dstream`, or `~/.cache/dstream` (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "dstream"


def _create_folder() -> Path:
    """Create the cache folder, for this user only. Raises OSError."""
    if folder().parts[0] == "~":  # a user without a home folder: not a folder named ~
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder()))
    folder().parent.mkdir(parents=True, exist_ok=True)
    folder().mkdir(mode=0o700, exist_ok=True)
    return folder()


def read(name: str) -> bytes:
    """Return the content of a file in the cache folder; b"" if it cannot be read."""
    try:
        return (folder() / name).read_bytes()
    except OSError:
        return b""


def write(name: str, data: bytes) -> None:
    """Replace a file in the cache folder in one step, readable by this user only. Ignore a full or read-only disk."""
    with contextlib.suppress(OSError):
        descriptor, temporary = tempfile.mkstemp(dir=_create_folder())
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            os.replace(temporary, folder() / name)
        except OSError:
            os.unlink(temporary)
            raise

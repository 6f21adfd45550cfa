"""Reads the text of a file, up to a limit: `/dev/zero` never ends."""

from __future__ import annotations

import errno
from pathlib import Path

MAX_CHARACTERS = 16 * 1024 * 1024


def file_text(path: Path, *, encoding: str = "utf-8") -> str:
    """Return the text. Raises OSError, also if it is longer than MAX_CHARACTERS; UnicodeDecodeError; ValueError for an
    invalid path."""
    with path.open(encoding=encoding) as file:
        text = file.read(MAX_CHARACTERS + 1)
    if len(text) > MAX_CHARACTERS:
        raise OSError(errno.EFBIG, f"it is longer than {MAX_CHARACTERS:,} characters")
    return text

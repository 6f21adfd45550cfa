"""What is remembered of executables from one command to the next, in the user's cache: only what spares a wait.

Best effort: a cache that can't be read or written is an empty one. An executable is known by its command line and by
the size and time of the files in it, so that a new build is a new executable.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from dstream import __version__

LEGACY_PATIENCE_S = 1.0
"""How long to wait for a hello of an executable that is known to say none."""

_FILE = "providers.json"
_MOST = 256


class Remembered(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one executable."""

    is_legacy: bool = False
    """It wrote a line of the original protocol. That it was silent is never remembered."""
    secret_paths: tuple[tuple[str, ...], ...] | None = None
    """Which of its settings are secret; None: not asked yet."""


_decode = msgspec.json.Decoder(dict[str, Remembered]).decode


def recall(argv: Sequence[str]) -> Remembered:
    return _read().get(_key(argv), Remembered())


def remember(argv: Sequence[str], found: Remembered) -> None:
    """Two commands at once may lose what one of them found: it is found again."""
    known = _read()
    key = _key(argv)
    if known.pop(key, None) == found:
        return
    known[key] = found
    newest = dict(list(known.items())[-_MOST:])
    with contextlib.suppress(OSError):
        _write(msgspec.json.encode(newest))


def patience_s(argv: Sequence[str], usual_s: float) -> float:
    """How long to wait for a hello before it counts as one of the original protocol."""
    return min(usual_s, LEGACY_PATIENCE_S) if recall(argv).is_legacy else usual_s


def remember_protocol(argv: Sequence[str], *, is_legacy: bool) -> None:
    """What a line of it has shown: to be called after hello, or after a line that was none."""
    known = recall(argv)
    if known.is_legacy != is_legacy:
        remember(argv, msgspec.structs.replace(known, is_legacy=is_legacy))


def _read() -> dict[str, Remembered]:
    try:
        return _decode((_folder() / _FILE).read_bytes())
    except (OSError, ValueError, msgspec.DecodeError):
        return {}


def _write(data: bytes) -> None:
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, folder / _FILE)
    except OSError:
        os.unlink(temporary)
        raise


def _folder() -> Path:
    """XDG Base Directory Specification: $XDG_CACHE_HOME, else ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "dstream"


def _key(argv: Sequence[str]) -> str:
    known_by = [__version__, list(argv), list(_files(argv))]  # the version: some providers come with this package
    return hashlib.sha256(json.dumps(known_by).encode()).hexdigest()


def _files(argv: Sequence[str]) -> Iterator[tuple[int, int]]:
    for word in argv:
        path = os.path.join(word, "__main__.py") if os.path.isdir(word) else word
        with contextlib.suppress(OSError, ValueError):
            about = os.stat(path)
            yield about.st_size, about.st_mtime_ns

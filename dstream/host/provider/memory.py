"""A cache of facts about provider executables that saves waiting in later commands.

The key is the command line with the size and time of its files, so a new build is a new executable.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from dstream import __version__, cache

LEGACY_PATIENCE_S = 1.0
"""How long to wait for hello from an executable that is known to send none."""

_FILE = "providers.json"
_MOST = 256


class Remembered(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known about one executable."""

    is_legacy: bool = False
    """It wrote a line of the original protocol. Silence is never cached."""
    config_schema: dict[str, Any] | None = None
    """The JSON schema of its config; None if not yet asked."""


_decode = msgspec.json.Decoder(dict[str, Remembered]).decode


def recall(argv: Sequence[str]) -> Remembered:
    return _read().get(_key(argv), Remembered())


def remember(argv: Sequence[str], found: Remembered) -> None:
    """Concurrent commands may overwrite each other's entry; it is then found again."""
    known = _read()
    key = _key(argv)
    if known.pop(key, None) == found:
        return
    known[key] = found
    newest = dict(list(known.items())[-_MOST:])
    cache.write(_FILE, msgspec.json.encode(newest))


def patience_s(argv: Sequence[str], usual_s: float) -> float:
    """Return how long to wait for hello before treating the executable as legacy."""
    return min(usual_s, LEGACY_PATIENCE_S) if recall(argv).is_legacy else usual_s


def remember_protocol(argv: Sequence[str], *, is_legacy: bool) -> None:
    """Cache the protocol. Call it after hello or another line, never after silence."""
    known = recall(argv)
    if known.is_legacy != is_legacy:
        remember(argv, msgspec.structs.replace(known, is_legacy=is_legacy))


def _read() -> dict[str, Remembered]:
    try:
        return _decode(cache.read(_FILE))
    except (ValueError, msgspec.DecodeError):
        return {}


def _key(argv: Sequence[str]) -> str:
    known_by = [
        __version__,
        list(argv),
        list(_files(argv)),
    ]  # the version: some providers ship with this package
    return hashlib.sha256(json.dumps(known_by).encode()).hexdigest()


def _files(argv: Sequence[str]) -> Iterator[tuple[int, int]]:
    for word in argv:
        path = os.path.join(word, "__main__.py") if os.path.isdir(word) else word
        with contextlib.suppress(OSError, ValueError):
            about = os.stat(path)
            yield about.st_size, about.st_mtime_ns

"""Parses durations and sizes."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|KiB|MB|MiB|GB|GiB)")
_BYTES = {"B": 1, "KB": 1000, "KiB": 1024, "MB": 1000**2, "MiB": 1024**2, "GB": 1000**3, "GiB": 1024**3}


def seconds(text: str) -> float | None:
    """Return "90s", "1m30s" or "250ms" in seconds; None if invalid."""
    if not text or _DURATION.sub("", text):
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))


def size_in_bytes(text: str) -> int | None:
    """Return "16MiB" or "64 KB" in bytes; None if invalid."""
    match = _SIZE.fullmatch(text)
    return int(float(match[1]) * _BYTES[match[2]]) if match else None

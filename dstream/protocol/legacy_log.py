"""Log lines in JSON that a legacy provider writes to stdout between its rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from dstream.protocol.messages import UNREADABLE

_LEVELS = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "information": "info",
    "notice": "info",
    "warn": "warning",
    "warning": "warning",
    "error": "error",
    "critical": "error",
    "fatal": "error",
    "panic": "error",
}
_LEVEL_NAMES = ("level", "lvl", "severity", "Level")
_MESSAGE_NAMES = ("msg", "message", "Message", "@message")
_ENVELOPE = frozenset({"data", "metadata", "Data", "Metadata", "before"})
LOG_MARKS = tuple(f'"{name}"'.encode() for name in _LEVEL_NAMES)
"""Every log line contains one of these."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class LegacyLog(NamedTuple):
    """A log line; `level` is one of the protocol's."""

    level: str
    message: str
    fields: Mapping[str, Any]


def legacy_log(line: bytes) -> LegacyLog | None:
    """Return a log line; None for a row or a text.

    It is a JSON object with a known level and a message, and without the parts of a row. Anything else that could be a
    row is one: a row must not be lost.
    """
    if not line.startswith(b"{") or not any(mark in line for mark in LOG_MARKS):
        return None
    try:
        found = _decode(line)
    except UNREADABLE:
        return None
    if _ENVELOPE & found.keys():
        return None
    level = next((found[name] for name in _LEVEL_NAMES if name in found), None)
    message = next((found[name] for name in _MESSAGE_NAMES if name in found), None)
    if not isinstance(level, str) or level.lower() not in _LEVELS or not isinstance(message, str):
        return None
    rest = {name: value for name, value in found.items() if name not in (*_LEVEL_NAMES, *_MESSAGE_NAMES)}
    return LegacyLog(_LEVELS[level.lower()], message, rest)

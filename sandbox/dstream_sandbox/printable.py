"""Escapes what a terminal would obey in rows, messages and errors of a server. Valid in text and in JSON. Pure."""

from __future__ import annotations

import json


def printable(text: str, *, keeps: str = "") -> str:
    """Escape what `str.isprintable` rejects, except `keeps`: a line end would look like a new row."""
    return "".join(each if each.isprintable() or each in keeps else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]

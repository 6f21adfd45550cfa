"""Object names as text, such as `[a b].dbo."c"`: to parts and back."""

from __future__ import annotations

import re

_PART = re.compile(r'\s*(\[(?:[^\]]|\]\])*\]|"(?:[^"]|"")*"|[^.\[\]"]*)\s*(\.|$)')


def split_name(text: str) -> tuple[str, ...]:
    """Return the parts of a possibly quoted, possibly qualified name; () if it is not a name."""
    parts: list[str] = []
    position = 0
    while True:
        match = _PART.match(text, position)
        if match is None:
            return ()
        parts.append(_unquoted(match[1].strip()))
        position = match.end()
        if match[2] != ".":
            return tuple(parts) if position == len(text) else ()


def _unquoted(part: str) -> str:
    if part.startswith("["):
        return part[1:-1].replace("]]", "]")
    if part.startswith('"'):
        return part[1:-1].replace('""', '"')
    return part


def split_list(text: str) -> list[str]:
    """Split names at commas; each can be quoted."""
    found: list[str] = []
    for part in re.findall(r'\s*(\[(?:[^\]]|\]\])*\]|"(?:[^"]|"")*"|[^,]+)\s*(?:,|$)', text):
        name = _unquoted(part.strip())
        if name:
            found.append(name)
    return found

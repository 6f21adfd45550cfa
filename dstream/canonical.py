"""Text without its escapes, so that a secret is found however often it was escaped: for a URL, JSON, XML or SQL. Pure.

Two texts that differ only in escapes have the same canonical form, up to what surrounds them.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from typing import NamedTuple

_ESCAPE = re.compile(
    r"(?P<percent>(?:%[0-9A-Fa-f]{2})+)"
    r"|\\(?:u(?P<unicode>[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|[0-9A-Fa-f]{4})|x(?P<hex>[0-9A-Fa-f]{2})|U(?P<wide>00[01][0-9A-Fa-f]{5})|(?P<simple>.))"
    r"|&(?:#(?P<decimal>\d{1,7})|#[xX](?P<code>[0-9A-Fa-f]{1,6})|(?P<entity>amp|lt|gt|quot|apos));"
    r"""|(?P<doubled>['"}])(?P=doubled)"""
    r"|(?P<plus>\+)",
    re.DOTALL,
)
_SIGNS = re.compile(r"[%\\&+]")
_DOUBLED = re.compile(r"""''|""|}}""")
_BEGUN = re.compile(
    r"(?:\\(?:[uUxX][0-9A-Fa-f]*)?|%[0-9A-Fa-f]?|&(?:#(?:\d*|[xX][0-9A-Fa-f]*)|am?p?|ap?o?s?|lt?|gt?|qu?o?t?)?)+$"
)
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_MOST_PASSES = 8

_SHORTEST_INSIDE = 6
"""Bytes from which a secret is also found inside a longer base64 text."""
_URL_SAFE = str.maketrans("+/", "-_")


class Canonical(NamedTuple):
    """A text without escapes. `starts[i]` is where its character `i` begins in the original; the last item is the
    original's length."""

    text: str
    starts: list[int]


def needle(secret: str) -> str:
    """Return what to look for in canonical texts, without an end that could be the start of an escape."""
    return _BEGUN.sub("", canonical(secret).text)


def has_escapes(text: str, *, doubled: bool) -> bool:
    """Return whether the canonical form may differ from the text. `doubled`: consider doubled quotes and braces, which
    are common in plain JSON."""
    return _SIGNS.search(text) is not None or (doubled and _DOUBLED.search(text) is not None)


def canonical(text: str) -> Canonical:
    """Remove all escapes, also from escaped escapes."""
    found = Canonical(text, list(range(len(text) + 1)))
    for _ in range(_MOST_PASSES):
        following = _once(found)
        if following.text == found.text:
            break
        found = following
    return found


def _once(found: Canonical) -> Canonical:
    parts: list[str] = []
    starts: list[int] = []
    at = 0
    for escape in _ESCAPE.finditer(found.text):
        parts.append(found.text[at : escape.start()])
        starts += found.starts[at : escape.start()]
        at = escape.end()
        if escape["percent"]:
            begin = escape.start()
            for char in bytes.fromhex(escape["percent"].replace("%", "")).decode("utf-8", "surrogateescape"):
                end = begin + 3 * len(char.encode("utf-8", "surrogateescape"))
                is_part = "\udc80" <= char <= "\udcff"  # of a character whose other bytes are escaped once more
                parts.append(found.text[begin:end] if is_part else char)
                starts += found.starts[begin:end] if is_part else found.starts[begin : begin + 1]
                begin = end
        else:
            meaning = _meaning(escape)
            parts.append(meaning)
            starts += found.starts[escape.start() : escape.start() + len(meaning)]
    parts.append(found.text[at:])
    starts += found.starts[at:]
    return Canonical("".join(parts), starts)


def _meaning(escape: re.Match[str]) -> str:
    """Return the character that an escape stands for; the escape itself if it is half of one."""
    if escape["unicode"]:
        units = bytes.fromhex(escape["unicode"].replace("\\u", ""))
        char = units.decode("utf-16-be", "surrogatepass")
        return escape[0] if "\ud800" <= char <= "\udfff" else char
    if escape["decimal"] or (digits := escape["hex"] or escape["wide"] or escape["code"]):
        code = int(escape["decimal"]) if escape["decimal"] else int(digits, 16)
        return chr(code) if code < 0x110000 else "\ufffd"
    if escape["entity"]:
        return _ENTITIES[escape["entity"]]
    if escape["plus"]:
        return " "
    return _CONTROLS.get(escape["simple"], escape["simple"]) if escape["simple"] else escape["doubled"]


def packed(secret: str) -> Iterator[str]:
    """Yield the secret in hexadecimal and in base64, also as part of a longer text such as `user:password`.

    Of base64, only the characters that do not depend on the surrounding text.
    """
    data = secret.encode("utf-8", "surrogatepass")
    for offset in range(3 if len(data) >= _SHORTEST_INSIDE else 1):
        first, last = (offset * 8 + 5) // 6, (offset + len(data)) * 8 // 6
        core = b64encode(bytes(offset) + data).decode()[first:last]
        yield core
        yield core.translate(_URL_SAFE)
    yield data.hex()
    yield data.hex().upper()

"""Text without its escapes, so that a secret is found however often it was escaped: for a URL, JSON, XML, SQL or in the
source of a program. Pure.

Two texts that differ only in escapes have the same canonical form, up to what surrounds them.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from html.entities import html5
from typing import NamedTuple

_ESCAPE = re.compile(
    r"(?P<percent>(?:%[0-9A-Fa-f]{2})+)"
    r"|(?P<bytes>(?:\\x[0-9A-Fa-f]{2})+|(?:\\[0-3][0-7]{2})+)"
    r"|\\(?:u(?P<unicode>[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|[0-9A-Fa-f]{4})|u\{(?P<braced>[0-9A-Fa-f]{1,6})\}|U(?P<wide>00[01][0-9A-Fa-f]{5})|(?P<simple>.))"
    r"|&(?:#(?P<decimal>\d{1,7})|#[xX](?P<code>[0-9A-Fa-f]{1,6})|(?P<entity>[A-Za-z][A-Za-z0-9]{1,30}));"
    r"""|(?P<doubled>['"}])(?P=doubled)"""
    r"|(?P<plus>\+)",
    re.DOTALL,
)
_SIGNS = re.compile(r"[%\\&+]")
_DOUBLED = re.compile(r"""''|""|}}""")
_BEGUN = re.compile(
    r"(?:\\(?:[uUxX]\{?[0-9A-Fa-f]*|[0-3][0-7]?)?|%[0-9A-Fa-f]?|&(?:#(?:\d*|[xX][0-9A-Fa-f]*)|am?p?|ap?o?s?|lt?|gt?|qu?o?t?)?)+$"
)
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
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
    is_last = False
    for _ in range(_MOST_PASSES):
        following = _once(found, is_last=is_last)
        if following.text == found.text:
            if is_last or "\\" not in found.text:
                break
            is_last = True
        found = following
    return found


def _once(found: Canonical, *, is_last: bool) -> Canonical:
    """Remove one layer of escapes. `is_last`: also those that another layer could complete, such as `\\xe9`, which may
    be the first byte of a character in UTF-8, or else a character in Latin-1."""
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
        elif escape["bytes"]:
            base = 16 if escape["bytes"][1] == "x" else 8
            digits = escape["bytes"].replace("\\x", "\\").split("\\")[1:]
            data = bytes(int(each, base) for each in digits)
            begin = escape.start()
            for char in data.decode("utf-8", "surrogateescape"):
                size = len(char.encode("utf-8", "surrogateescape"))
                end = begin + 4 * size
                is_part = "\udc80" <= char <= "\udcff" and not is_last
                meaning = chr(ord(char) & 0xFF) if "\udc80" <= char <= "\udcff" else char
                parts.append(found.text[begin:end] if is_part else meaning)
                starts += found.starts[begin:end] if is_part else found.starts[begin : begin + 1]
                begin = end
        else:
            is_begun = (escape["simple"] or " ") in "uUx0123" and not is_last
            meaning = escape[0] if is_begun else _meaning(escape)
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
    if escape["decimal"] or (digits := escape["braced"] or escape["wide"] or escape["code"]):
        code = int(escape["decimal"]) if escape["decimal"] else int(digits, 16)
        return chr(code) if code < 0x110000 else "\ufffd"
    if escape["entity"]:
        return html5.get(f"{escape['entity']};", escape[0])
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

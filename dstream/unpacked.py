"""Finds texts inside base64 and hexadecimal in another text. Pure."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from typing import NamedTuple

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}(?:\\?\r?\\?\n[A-Za-z0-9+/_-]+)*={0,2}")
_HEX = re.compile(r"(?:(?:0x|\\x)?[0-9A-Fa-f]{2}[ :,-]{0,2}){4,}")
_NO_HEX = re.compile(r"0x|\\x|[ :,-]")
_STANDARD = str.maketrans("-_", "+/")
_PRINTABLE = bytes(range(32, 127))
_NO_BASE64 = re.compile(r"[\s\\=]")


class PackedText(NamedTuple):
    """A text that was found between two offsets."""

    start: int
    end: int
    text: str


def unpacked(text: str, shortest: int) -> Iterator[PackedText]:
    """Yield the texts of at least `shortest` bytes that may be packed in a text: in UTF-8, or in UTF-16 as PowerShell's
    -EncodedCommand."""
    for found in _BASE64.finditer(text):
        if len(found[0]) * 3 < shortest * 4:
            continue
        digits = _NO_BASE64.sub("", found[0]).translate(_STANDARD)
        digits = digits[: len(digits) - (len(digits) % 4 == 1)]
        yield from _text_of(b64decode(digits + "=" * (-len(digits) % 4)), found)
    for found in _HEX.finditer(text):
        if len(found[0]) < shortest * 2:
            continue
        digits = _NO_HEX.sub("", found[0])
        yield from _text_of(bytes.fromhex(digits[: len(digits) // 2 * 2]), found)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _text_of(data: bytes, found: re.Match[str]) -> Iterator[PackedText]:
    if b"\0" not in data and len(data.translate(None, _PRINTABLE)) * 4 > len(data) and not _is_utf8(data):
        return  # an ordinary word that happens to consist of digits
    encodings = ("utf-8", "utf-16-le", "utf-16-be") if b"\0" in data else ("utf-8",)
    for encoding in encodings:
        yield PackedText(found.start(), found.end(), data.decode(encoding, "replace"))

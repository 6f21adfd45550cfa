"""Text as SQL Server stores it in nchar and nvarchar: UTF-16 code units, which may include half of a surrogate pair.

Microsoft Learn, "Collation and Unicode support": without _SC, a supplementary character counts as two. SQLite stores
UTF-8, which cannot hold halves. Here, they are the private characters U+10D800 to U+10DFFF, which cannot be stored
themselves.
"""

from __future__ import annotations

_OFFSET = 0x100000
_FIRST, _LAST = 0xD800, 0xDFFF
_TO_PRIVATE = {code: code + _OFFSET for code in range(_FIRST, _LAST + 1)}
_FROM_PRIVATE = {private: code for code, private in _TO_PRIVATE.items()}


def units_of(text: str) -> bytes:
    """Encode as UTF-16."""
    if text.isascii() or max(text) < chr(_FIRST + _OFFSET):
        return text.encode("utf-16-le", "surrogatepass")
    return text.translate(_FROM_PRIVATE).encode("utf-16-le", "surrogatepass")


def text_of(units: bytes) -> str:
    """Decode UTF-16."""
    try:
        return units.decode("utf-16-le")
    except UnicodeDecodeError:
        return units.decode("utf-16-le", "surrogatepass").translate(_TO_PRIVATE)

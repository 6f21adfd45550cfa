"""Collations on the wire: five bytes, [MS-TDS] 2.2.5.1.2, and the code page that they imply for char and varchar."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from struct import Struct

from dstream_sandbox.sqlserver.session import SqlError

DEFAULT_COLLATION = "SQL_Latin1_General_CP1_CI_AS"

_WIRE = Struct("<IB")
_IGNORE_CASE = 1 << 20
_IGNORE_ACCENT = 1 << 21
_IGNORE_KANA = 1 << 23
_IGNORE_WIDTH = 1 << 22
_BINARY = 1 << 24
_BINARY2 = 1 << 25
_UTF8 = 1 << 26
_LCID_MASK = 0xFFFFF
_VERSIONS = {"90": 1, "100": 2, "140": 3, "160": 3}

# "Windows collation name" and sys.fn_helpcollations: language part of the name -> LCID, code page.
_LANGUAGES: dict[str, tuple[int, str]] = {
    "LATIN1_GENERAL": (0x0409, "cp1252"),
    "ALBANIAN": (0x041C, "cp1250"),
    "ARABIC": (0x0401, "cp1256"),
    "CHINESE_PRC": (0x0804, "cp936"),
    "CHINESE_TAIWAN_STROKE": (0x0404, "cp950"),
    "CROATIAN": (0x041A, "cp1250"),
    "CYRILLIC_GENERAL": (0x0419, "cp1251"),
    "CZECH": (0x0405, "cp1250"),
    "DANISH_NORWEGIAN": (0x0406, "cp1252"),
    "ESTONIAN": (0x0425, "cp1257"),
    "FINNISH_SWEDISH": (0x040B, "cp1252"),
    "FRENCH": (0x040C, "cp1252"),
    "GREEK": (0x0408, "cp1253"),
    "HEBREW": (0x040D, "cp1255"),
    "HUNGARIAN": (0x040E, "cp1250"),
    "ICELANDIC": (0x040F, "cp1252"),
    "JAPANESE": (0x0411, "cp932"),
    "JAPANESE_XJIS": (0x0411, "cp932"),
    "KOREAN_WANSUNG": (0x0412, "cp949"),
    "LATVIAN": (0x0426, "cp1257"),
    "LITHUANIAN": (0x0427, "cp1257"),
    "MODERN_SPANISH": (0x0C0A, "cp1252"),
    "POLISH": (0x0415, "cp1250"),
    "ROMANIAN": (0x0418, "cp1250"),
    "SLOVAK": (0x041B, "cp1250"),
    "SLOVENIAN": (0x0424, "cp1250"),
    "THAI": (0x041E, "cp874"),
    "TURKISH": (0x041F, "cp1254"),
    "UKRAINIAN": (0x0422, "cp1251"),
    "VIETNAMESE": (0x042A, "cp1258"),
}
_CODECS_BY_LCID = dict(_LANGUAGES.values())

# sys.syscharsets: sort ids of the SQL collations; all of them are code page 1252 with LCID 0x0409.
_SQL_SORT_IDS = {
    "SQL_LATIN1_GENERAL_CP1_CS_AS": 51,
    "SQL_LATIN1_GENERAL_CP1_CI_AS": 52,
    "SQL_LATIN1_GENERAL_PREF_CP1_CI_AS": 53,
    "SQL_LATIN1_GENERAL_CP1_CI_AI": 54,
}


@dataclass(frozen=True, slots=True)
class Collation:
    """`wire` goes into TYPE_INFO; `codec` is the Python codec of char and varchar."""

    wire: bytes
    codec: str

    @property
    def sort_id(self) -> int:
        return self.wire[4]

    @property
    def is_case_sensitive(self) -> bool:
        info: int = _WIRE.unpack(self.wire)[0]
        return not info & _IGNORE_CASE


@lru_cache(maxsize=256)
def collation(name: str | None) -> Collation:
    """Return a collation by name; the server's default for None. Raises SqlError 448 for an unknown name."""
    upper = (name or DEFAULT_COLLATION).upper()
    flags = _comparison_flags(upper.split("_"))
    if upper in _SQL_SORT_IDS:
        return Collation(_WIRE.pack(0x0409 | flags, _SQL_SORT_IDS[upper]), "cp1252")
    language = _language(upper)
    if language is None:
        raise SqlError(448, f"Invalid collation '{name}'.")
    lcid, codec = language
    if flags & _UTF8:
        codec = "utf-8"
    return Collation(_WIRE.pack(lcid | flags | _version(upper) << 28, 0), codec)


@lru_cache(maxsize=256)
def codec_of(wire: bytes) -> str:
    """Return the codec of a char or varchar with these five bytes; the default codec if the language is unknown."""
    info: int = _WIRE.unpack(wire)[0]
    if info & _UTF8:
        return "utf-8"
    return _CODECS_BY_LCID.get(info & _LCID_MASK, "cp1252")


def _language(upper: str) -> tuple[int, str] | None:
    candidates = [language for language in _LANGUAGES if upper.startswith(language + "_")]
    return _LANGUAGES[max(candidates, key=len)] if candidates else None


def _version(upper: str) -> int:
    return next((version for part in upper.split("_") if (version := _VERSIONS.get(part))), 0)


def _comparison_flags(parts: list[str]) -> int:
    utf8 = _UTF8 if "UTF8" in parts else 0
    if "BIN2" in parts:
        return _BINARY2 | utf8
    if "BIN" in parts:
        return _BINARY | utf8
    return (
        utf8
        | (_IGNORE_CASE if "CI" in parts else 0)
        | (_IGNORE_ACCENT if "AI" in parts else 0)
        | (0 if "KS" in parts else _IGNORE_KANA)
        | (0 if "WS" in parts else _IGNORE_WIDTH)
    )

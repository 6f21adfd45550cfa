"""T-SQL for `dstream sandbox sql`: splits scripts into batches, formats values and errors."""

from __future__ import annotations

import datetime
import re
import struct
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from dstream_sandbox.printable import printable

if TYPE_CHECKING:
    import pyodbc

_GO = re.compile(r"\s*GO(?:\s+(\d+))?\s*;?\s*", re.IGNORECASE)
_SERVER_ERROR = re.compile(r"\[SQL Server\](.*?) \((\d+)\) \(SQL\w+\)", re.DOTALL)
_SERVER_NOTE = re.compile(r"^(?:\[[^\]]*\])*\[SQL Server\]")
_TYPE_TIMESTAMP, _TYPE_TIME2, _TYPE_OFFSET, _TYPE_UDT = 93, -154, -155, -151


def batches(script: str) -> Iterator[str]:
    """Split a script into batches, separated by GO on its own line; `GO 5` runs a batch five times (Microsoft, "SQL
    Server utilities statements - GO")."""
    lines: list[str] = []
    for line in script.splitlines():
        if separator := _GO.fullmatch(line):
            yield from _repeated(lines, int(separator[1] or 1))
            lines = []
        else:
            lines.append(line)
    yield from _repeated(lines, 1)


def server_errors(text: str) -> str:
    """SQL Server's own messages, one per line, without the text that ODBC adds."""
    found = _SERVER_ERROR.findall(text)
    return "\n".join(f"Msg {number}: {message}" for message, number in found) or text


def server_note(text: str) -> str:
    """The text of a PRINT or an informational message."""
    return _SERVER_NOTE.sub("", text)


def column_names(names: Sequence[str]) -> list[str]:
    """Unique column names: `column2` for an unnamed column, `Id_3` for a third column that repeats the name Id."""
    unique: list[str] = []
    for position, name in enumerate(names, start=1):
        wanted = name or f"column{position}"
        unique.append(wanted if wanted not in unique else f"{wanted}_{position}")
    return unique


def as_text(value: object) -> str:
    """Format a value on one line, as SQL Server's tools do: NULL, 0x.., 1 for a set bit, all digits of a number."""
    plain = as_json(value)
    if plain is None:
        return "NULL"
    return str(int(plain)) if isinstance(plain, bool) else printable(str(plain))


def as_json(value: object) -> str | int | float | bool | None:
    """Convert to a JSON type that is lossless; decimals, times, GUIDs and binary values (0x..) become strings."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (bytes, bytearray)):
        return "0x" + value.hex().upper()
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)


def keep_all_digits(connection: pyodbc.Connection) -> None:
    """Make the connection return times as ISO 8601 text, which keeps 100 ns; Python's types only keep microseconds.
    Also adds datetimeoffset and CLR types."""
    connection.add_output_converter(_TYPE_TIMESTAMP, _timestamp)
    connection.add_output_converter(_TYPE_TIME2, _time)
    connection.add_output_converter(_TYPE_OFFSET, _offset)
    connection.add_output_converter(_TYPE_UDT, bytes)


def _repeated(lines: list[str], times: int) -> Iterator[str]:
    batch = "\n".join(lines)
    if batch.strip():
        yield from [batch] * times


def _timestamp(raw: bytes) -> str:
    """SQL_TIMESTAMP_STRUCT: the fraction is nanoseconds (ODBC, "C Data Types")."""
    year, month, day, hour, minute, second, fraction = struct.unpack("<hHHHHHI", raw)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{_fraction(fraction)}"


def _time(raw: bytes) -> str:
    """SQL_SS_TIME2_STRUCT (Microsoft, "Data Type Support for ODBC Date and Time Improvements")."""
    hour, minute, second, fraction = struct.unpack("<HHHxxI", raw)
    return f"{hour:02}:{minute:02}:{second:02}{_fraction(fraction)}"


def _offset(raw: bytes) -> str:
    """SQL_SS_TIMESTAMPOFFSET_STRUCT: a timestamp, then the zone's hours and minutes, both signed."""
    hours, minutes = struct.unpack("<hh", raw[16:20])
    sign = "-" if hours < 0 or minutes < 0 else "+"
    return f"{_timestamp(raw[:16])}{sign}{abs(hours):02}:{abs(minutes):02}"


def _fraction(nanoseconds: int) -> str:
    digits = f"{nanoseconds // 100:07}".rstrip("0")
    return f".{digits}" if digits else ""

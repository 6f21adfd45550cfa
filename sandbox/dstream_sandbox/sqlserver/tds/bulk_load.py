"""Bulk load, [MS-TDS] 2.2.6.1 and 2.2.6.2: an INSERT BULK statement, then a message of COLMETADATA and ROW tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.tds.byte_reader import ByteReader, ProtocolError
from dstream_sandbox.sqlserver.tds.decoding import Incoming, read_type
from dstream_sandbox.sqlserver.values import Row, SqlType

_INSERT_BULK = re.compile(r"\s*insert\s+bulk\s+", re.IGNORECASE)
_NAME_PART = re.compile(r'\s*(?:\[((?:[^\]]|\]\])*)\]|"((?:[^"]|"")*)"|([^\s.,()\[\]"]+))')
_CHECK_CONSTRAINTS = re.compile(r"\bcheck_constraints\b", re.IGNORECASE)

_COLUMN_METADATA, _ROW, _NBC_ROW = 0x81, 0xD1, 0xD2
_DONE_TOKENS = (0xFD, 0xFE, 0xFF)


@dataclass(frozen=True, slots=True)
class BulkInsert:
    """An INSERT BULK statement; the rows come in the next message."""

    table: str
    columns: tuple[str, ...]
    check_constraints: bool


def parse_insert_bulk(sql: str) -> BulkInsert | None:
    """Parse INSERT BULK; None for any other statement. Raises SqlError 102 if it is malformed."""
    start = _INSERT_BULK.match(sql)
    if start is None:
        return None
    opening = _end_of_name(sql, start.end())
    if opening is None:
        raise SqlError(102, "Incorrect syntax near 'bulk'.", severity=15)
    table = sql[start.end() : opening].strip()
    inside, rest = _parenthesised(sql, opening)
    columns = tuple(_column_name(part) for part in _split_at_commas(inside) if part.strip())
    return BulkInsert(table, columns, bool(_CHECK_CONSTRAINTS.search(rest)))


@dataclass(frozen=True, slots=True)
class BulkRows:
    """The columns that a bulk load declares, and its rows, which are read from the wire on demand."""

    names: tuple[str, ...]
    types: tuple[SqlType, ...]
    rows: Iterator[Row]


def read_bulk_rows(reader: ByteReader) -> BulkRows:
    """Read the columns. Raises SqlError for an unsupported type, ProtocolError if this is not a bulk load."""
    if reader.u8() != _COLUMN_METADATA:
        raise ProtocolError("bulk load does not begin with its columns")
    names, incoming = [], []
    for _ in range(reader.u16()):
        reader.take(6)  # user type, flags
        column = read_type(reader, in_rows=True)
        if column.is_old_lob:
            reader.us_varchar()  # the table's name
        incoming.append(column)
        names.append(reader.b_varchar())
    return BulkRows(tuple(names), tuple(column.type for column in incoming), _rows(reader, incoming))


def _rows(reader: ByteReader, incoming: list[Incoming]) -> Iterator[Row]:
    readers = [column.read for column in incoming]
    bitmap_bytes = (len(readers) + 7) // 8
    while not reader.at_end():
        token = reader.u8()
        if token == _ROW:
            yield tuple([read(reader) for read in readers])
        elif token == _NBC_ROW:
            nulls = int.from_bytes(reader.take(bitmap_bytes), "little")
            yield tuple([None if nulls >> index & 1 else read(reader) for index, read in enumerate(readers)])
        elif token in _DONE_TOKENS:
            return
        else:
            raise ProtocolError(f"unexpected token 0x{token:02X} in a bulk load")


def _end_of_name(sql: str, position: int) -> int | None:
    """Return where the column list's parenthesis opens, after a name whose parts may be empty, as in db..table."""
    while True:
        match = _NAME_PART.match(sql, position)
        position = match.end() if match else position
        while sql[position : position + 1].isspace():
            position += 1
        if sql[position : position + 1] == ".":
            position += 1
            continue
        return position if sql[position : position + 1] == "(" else None


def _parenthesised(sql: str, opening: int) -> tuple[str, str]:
    depth, position = 0, opening
    while position < len(sql):
        character = sql[position]
        if character in '["':
            match = _NAME_PART.match(sql, position)
            position = match.end() if match else position + 1
            continue
        depth += {"(": 1, ")": -1}.get(character, 0)
        position += 1
        if not depth:
            return sql[opening + 1 : position - 1], sql[position:]
    raise SqlError(102, "Incorrect syntax near '('.", severity=15)


def _split_at_commas(text: str) -> list[str]:
    parts, depth, start, position = [], 0, 0, 0
    while position < len(text):
        character = text[position]
        if character in '["' and (match := _NAME_PART.match(text, position)):
            position = match.end()
            continue
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not depth:
            parts.append(text[start:position])
            start = position + 1
        position += 1
    return [*parts, text[start:]]


def _column_name(part: str) -> str:
    match = _NAME_PART.match(part)
    if match is None:
        raise SqlError(102, "Incorrect syntax near ','.", severity=15)
    bracketed, quoted, plain = match.groups()
    if bracketed is not None:
        return str(bracketed).replace("]]", "]")
    return str(quoted).replace('""', '"') if quoted is not None else str(plain)

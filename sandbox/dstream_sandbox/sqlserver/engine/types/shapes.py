"""geometry and geography: well-known text and the CLR serialization ([MS-SSCLRT] 2.1.3, "GEOMETRY/GEOGRAPHY
Structure"), version 1.

A geography stores latitude before longitude; its text has them the other way round."""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from dstream_sandbox.sqlserver.session import SqlError

_KINDS = ("POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION")
_NAMES = ("Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection")
_TOKEN = re.compile(r"\s*([A-Za-z]+|[(),]|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")
_VALID, _SINGLE_POINT, _SINGLE_LINE, _HAS_Z, _HAS_M = 0x04, 0x08, 0x10, 0x01, 0x02
_INTERIOR, _STROKE, _EXTERIOR = 0, 1, 2
DEFAULT_SRID = {"geometry": 0, "geography": 4326}

Position = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """`figures` are sequences of positions (rings, strokes, a point); a collection has `parts` instead."""

    kind: int
    figures: tuple[tuple[Position, ...], ...] = ()
    parts: tuple[Shape, ...] = ()


def malformed(text: str) -> SqlError:
    return SqlError(
        6522,
        "A .NET Framework error occurred during execution of user-defined routine or aggregate "
        '"geometry": 24114: The label '
        f"{text[:40]} in the input well-known text (WKT) is not valid.",
    )


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self._tokens(text)
        self.at = 0

    def _tokens(self, text: str) -> list[str]:
        found: list[str] = []
        position = 0
        stripped = text.rstrip()
        while position < len(stripped):
            match = _TOKEN.match(stripped, position)
            if match is None:
                raise malformed(text)
            found.append(match[1].upper())
            position = match.end()
        return found

    def next(self) -> str:
        if self.at >= len(self.tokens):
            raise malformed(self.text)
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, token: str) -> None:
        if self.next() != token:
            raise malformed(self.text)

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def shape(self) -> Shape:
        word = self.next()
        if word not in _KINDS:
            raise malformed(self.text)
        kind = _KINDS.index(word) + 1
        if self.peek() == "EMPTY":
            self.next()
            return Shape(kind)
        if kind <= 3:
            return self._simple(kind)
        self.expect("(")
        parts = [self._part(kind)]
        while self.peek() == ",":
            self.next()
            parts.append(self._part(kind))
        self.expect(")")
        return Shape(kind, (), tuple(parts))

    def _part(self, kind: int) -> Shape:
        if kind == 7:
            return self.shape()
        if kind == 4 and self.peek() != "(":
            return Shape(1, ((self._position(),),))
        return self._simple(kind - 3)

    def _simple(self, kind: int) -> Shape:
        if kind < 3:
            return Shape(kind, (self._run(),))
        self.expect("(")
        rings = [self._run()]
        while self.peek() == ",":
            self.next()
            rings.append(self._run())
        self.expect(")")
        return Shape(kind, tuple(rings))

    def _run(self) -> tuple[Position, ...]:
        self.expect("(")
        positions = [self._position()]
        while self.peek() == ",":
            self.next()
            positions.append(self._position())
        self.expect(")")
        return tuple(positions)

    def _position(self) -> Position:
        numbers: list[float] = []
        while self.peek() not in (",", ")", ""):
            try:
                numbers.append(float(self.next()))
            except ValueError:
                raise malformed(self.text) from None
        if not 2 <= len(numbers) <= 4:
            raise malformed(self.text)
        return tuple(numbers)


def parse(text: str, type_name: str, srid: int | None = None) -> bytes:
    """Convert well-known text to bytes. Raises 6522."""
    reader = _Reader(text)
    shape = reader.shape()
    if reader.peek():
        raise malformed(text)
    return encode(shape, DEFAULT_SRID[type_name] if srid is None else srid, swapped=type_name == "geography")


def encode(shape: Shape, srid: int, *, swapped: bool) -> bytes:
    positions = [p for figure in _figures(shape) for p in figure]
    width = max((len(p) for p in positions), default=2)
    flags = _VALID | (_HAS_Z if width > 2 else 0) | (_HAS_M if width > 3 else 0)
    head = struct.pack("<iB", srid, 1)
    if shape.kind == 1 and len(positions) == 1:
        return head + bytes([flags | _SINGLE_POINT]) + _coordinates(positions, width, swapped)
    if shape.kind == 2 and len(positions) == 2:
        return head + bytes([flags | _SINGLE_LINE]) + _coordinates(positions, width, swapped)
    figures, shapes = _tables(shape)
    body = struct.pack("<I", len(positions)) + _coordinates(positions, width, swapped)
    body += struct.pack("<I", len(figures)) + b"".join(struct.pack("<Bi", *f) for f in figures)
    body += struct.pack("<I", len(shapes)) + b"".join(struct.pack("<iiB", *s) for s in shapes)
    return head + bytes([flags]) + body


def _figures(shape: Shape) -> Iterator[tuple[Position, ...]]:
    yield from shape.figures
    for part in shape.parts:
        yield from _figures(part)


def _coordinates(positions: list[Position], width: int, swapped: bool) -> bytes:
    pairs = [(p[1], p[0]) if swapped else (p[0], p[1]) for p in positions]
    out = b"".join(struct.pack("<dd", *pair) for pair in pairs)
    for column in range(2, width):
        out += b"".join(struct.pack("<d", p[column] if column < len(p) else float("nan")) for p in positions)
    return out


def _tables(shape: Shape) -> tuple[list[tuple[int, int]], list[tuple[int, int, int]]]:
    figures: list[tuple[int, int]] = []
    shapes: list[tuple[int, int, int]] = []
    seen = 0

    def add(item: Shape, parent: int) -> None:
        nonlocal seen
        index = len(shapes)
        empty = not any(True for _ in _figures(item))
        shapes.append((parent, -1 if empty else len(figures), item.kind))
        for i, figure in enumerate(item.figures):
            attribute = (_EXTERIOR if i == 0 else _INTERIOR) if item.kind == 3 else _STROKE
            figures.append((attribute, seen))
            seen += len(figure)
        for part in item.parts:
            add(part, index)

    add(shape, -1)
    return figures, shapes


def decode(value: bytes, *, swapped: bool) -> tuple[int, Shape]:
    """Return SRID and shape."""
    srid, version, flags = struct.unpack_from("<iBB", value)
    if version != 1:
        raise SqlError(40515, "The sandbox does not support version 2 of the spatial serialization (curves).")
    width = 2 + bool(flags & _HAS_Z) + bool(flags & _HAS_M)
    if flags & (_SINGLE_POINT | _SINGLE_LINE):
        count = 1 if flags & _SINGLE_POINT else 2
        positions, _ = _read_positions(value, 6, count, width, swapped)
        return srid, Shape(count, (tuple(positions),))
    (count,) = struct.unpack_from("<I", value, 6)
    positions, at = _read_positions(value, 10, count, width, swapped)
    (figure_count,) = struct.unpack_from("<I", value, at)
    starts = [struct.unpack_from("<Bi", value, at + 4 + 5 * i)[1] for i in range(figure_count)] + [count]
    at += 4 + 5 * figure_count
    (shape_count,) = struct.unpack_from("<I", value, at)
    rows = [struct.unpack_from("<iiB", value, at + 4 + 9 * i) for i in range(shape_count)]
    runs = [tuple(positions[a:b]) for a, b in itertools.pairwise(starts)]
    return srid, _assemble(0, rows, runs)


def _read_positions(value: bytes, at: int, count: int, width: int, swapped: bool) -> tuple[list[Position], int]:
    flat = struct.unpack_from(f"<{2 * count}d", value, at)
    at += 16 * count
    extra = []
    for _ in range(2, width):
        extra.append(struct.unpack_from(f"<{count}d", value, at))
        at += 8 * count
    found: list[Position] = []
    for i in range(count):
        a, b = flat[2 * i], flat[2 * i + 1]
        found.append(((b, a) if swapped else (a, b)) + tuple(column[i] for column in extra))
    return found, at


def _assemble(index: int, rows: list[tuple[int, int, int]], runs: list[tuple[Position, ...]]) -> Shape:
    _, first, kind = rows[index]
    children = [i for i, row in enumerate(rows) if row[0] == index and i != index]
    if kind > 3:
        return Shape(kind, (), tuple(_assemble(i, rows, runs) for i in children))
    if first < 0:
        return Shape(kind)
    later = [row[1] for row in rows[index + 1 :] if row[1] >= 0]
    return Shape(kind, tuple(runs[first : later[0] if later else len(runs)]))


def text(value: bytes, type_name: str) -> str:
    return _shape_text(decode(value, swapped=type_name == "geography")[1])


def _shape_text(shape: Shape) -> str:
    label = _KINDS[shape.kind - 1]
    if not shape.figures and not shape.parts:
        return f"{label} EMPTY"
    if shape.kind == 7:
        return f"{label} ({', '.join(_shape_text(p) for p in shape.parts)})"
    if shape.parts:
        return f"{label} ({', '.join(_body(p) for p in shape.parts)})"
    return f"{label} {_body(shape)}"


def _body(shape: Shape) -> str:
    runs = [f"({', '.join(' '.join(_number(n) for n in p[:2]) for p in figure)})" for figure in shape.figures]
    return f"({', '.join(runs)})" if shape.kind == 3 else runs[0]


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def kind_name(value: bytes, type_name: str) -> str:
    return _NAMES[decode(value, swapped=type_name == "geography")[1].kind - 1]


def positions(value: bytes, type_name: str) -> list[Position]:
    return [p for figure in _figures(decode(value, swapped=type_name == "geography")[1]) for p in figure]


def point(value: bytes, type_name: str) -> Position | None:
    """Return the position of a Point; None for other shapes."""
    _, shape = decode(value, swapped=type_name == "geography")
    return shape.figures[0][0] if shape.kind == 1 and shape.figures else None

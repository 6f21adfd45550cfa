"""hierarchyid: paths such as /1/2.5/ and their bits ([MS-SSCLRT] 2.1.1, "HierarchyId Structure").

A level's numbers are variable-length bit patterns that sort like the numbers, so values compare as bytes."""

from __future__ import annotations

import re

from dstream_sandbox.sqlserver.session import SqlError

_PATTERNS: tuple[tuple[int, int, str], ...] = (
    (0, 3, "01xx"),
    (4, 7, "100xx"),
    (8, 15, "101xxx"),
    (16, 79, "110xx0x1xxx"),
    (80, 1103, "1110xxx0xxx0x1xxx"),
    (1104, 5199, "11110xxxxx0xxx0x1xxx"),
    (5200, 4294972495, "111110xxxxxxxxxxxxxxxxxxx0xxxxxx0xxx0x1xxx"),
    (4294972496, 281479271683151, "111111xxxxxxxxxxxxxx0xxxxxxxxxxxxxxxxxxxxx0xxxxxx0xxx0x1xxx"),
    (-8, -1, "00111xxx"),
    (-72, -9, "0010xx0x1xxx"),
    (-4168, -73, "000110xxxxx0xxx0x1xxx"),
    (-4294971464, -4169, "000101xxxxxxxxxxxxxxxxxxx0xxxxxx0xxx0x1xxx"),
    (-281479271682120, -4294971465, "000100xxxxxxxxxxxxxx0xxxxxxxxxxxxxxxxxxxxx0xxxxxx0xxx0x1xxx"),
)
_PATH = re.compile(r"/(?:-?\d+(?:\.-?\d+)*/)*$")
Path = tuple[tuple[int, ...], ...]


def invalid(text: str) -> SqlError:
    return SqlError(
        6522,
        f'A .NET Framework error occurred during execution of user-defined routine or aggregate "hierarchyid": '
        f"24001: SqlHierarchyId.Parse failed because the input string '{text}' is not a valid string "
        "representation of a SqlHierarchyId node.",
    )


def parse(text: str) -> bytes:
    """Convert `/1/2/` to bytes. Raises 6522."""
    if not _PATH.match(text):
        raise invalid(text)
    levels = text.strip("/").split("/") if text != "/" else []
    return encode(tuple(tuple(int(n) for n in level.split(".")) for level in levels))


def encode(path: Path) -> bytes:
    bits: list[str] = []
    for level in path:
        bits.extend(_bits(number + 1) + "0" for number in level[:-1])  # a number before a dot is stored one higher
        bits.append(_bits(level[-1]) + "1")
    joined = "".join(bits)
    size = -(-len(joined) // 8)
    return int(joined.ljust(size * 8, "0") or "0", 2).to_bytes(size, "big")


def _bits(number: int) -> str:
    low, pattern = next((low, p) for low, high, p in _PATTERNS if low <= number <= high)
    digits = iter(f"{number - low:0{pattern.count('x')}b}")
    return "".join(next(digits) if c == "x" else c for c in pattern)


def decode(value: bytes) -> Path:
    bits = "".join(f"{byte:08b}" for byte in value)
    levels: list[tuple[int, ...]] = []
    level: list[int] = []
    position = 0
    while "1" in bits[position:]:
        number, position = _number(bits, position)
        ends = bits[position] == "1"
        position += 1
        level.append(number if ends else number - 1)
        if ends:
            levels.append(tuple(level))
            level = []
    return tuple(levels)


def _number(bits: str, position: int) -> tuple[int, int]:
    for low, _, pattern in _PATTERNS:
        piece = bits[position : position + len(pattern)]
        if len(piece) == len(pattern) and all(p in ("x", b) for p, b in zip(pattern, piece, strict=True)):
            digits = "".join(b for p, b in zip(pattern, piece, strict=True) if p == "x")
            return low + int(digits, 2), position + len(pattern)
    raise SqlError(6522, "The hierarchyid value is damaged.")


def text(value: bytes) -> str:
    return "/" + "".join(".".join(str(n) for n in level) + "/" for level in decode(value))


def level(value: bytes | None) -> int | None:
    return None if value is None else len(decode(value))


def ancestor(value: bytes | None, count: int | None) -> bytes | None:
    """GetAncestor(n); NULL above the root."""
    if value is None or count is None:
        return None
    path = decode(value)
    return encode(path[: len(path) - count]) if count <= len(path) else None


def is_descendant(value: bytes | None, parent: bytes | None) -> int | None:
    if value is None or parent is None:
        return None
    above = decode(parent)
    return int(decode(value)[: len(above)] == above)


def descendant(value: bytes | None, first: bytes | None, second: bytes | None) -> bytes | None:
    """GetDescendant(child1, child2): a child between the two, chosen as SQL Server does for whole numbers."""
    if value is None:
        return None
    path = decode(value)
    if first is None and second is None:
        return encode((*path, (1,)))
    if second is None and first is not None:
        return encode((*path, (decode(first)[-1][0] + 1,)))
    assert second is not None
    if first is None:
        return encode((*path, (decode(second)[-1][0] - 1,)))
    low, high = decode(first)[-1], decode(second)[-1]
    if high[0] - low[0] > 1:
        return encode((*path, (low[0] + 1,)))
    if len(low) == 1:
        return encode((*path, (low[0], 1)))
    return encode((*path, (*low[:-1], low[-1] + 1)))


def reparented(value: bytes | None, old: bytes | None, new: bytes | None) -> bytes | None:
    if value is None or old is None or new is None:
        return None
    path, above = decode(value), decode(old)
    return encode((*decode(new), *path[len(above) :])) if path[: len(above)] == above else None

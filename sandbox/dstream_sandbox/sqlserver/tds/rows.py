"""Rows to ROW and NBCROW tokens: a batch of rows at a time, column by column, with one encoder per column."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat

from dstream_sandbox.sqlserver.tds.encoding import Encoding
from dstream_sandbox.sqlserver.values import Row

_ROW = b"\xd1"
_NBC_ROW = b"\xd2"


class RowEncoder:
    """Encodes the rows of one result set. `compact` allows NBCROW, introduced in TDS 7.3.B."""

    def __init__(self, encodings: Sequence[Encoding], *, compact: bool) -> None:
        self._columns = [(form.encode, form.null) for form in encodings]
        self._compact = compact
        self._bitmap_bytes = (len(encodings) + 7) // 8

    def encode(self, rows: Sequence[Row]) -> bytes:
        """Return the tokens of these rows. NULLs are omitted if that makes the tokens smaller."""
        if not rows:
            return b""
        values = list(zip(*rows, strict=True))
        cells = [
            [null if value is None else encode(value) for value in column]
            for column, (encode, null) in zip(values, self._columns, strict=True)
        ]
        if self._compact and self._saved_bytes(cells) > self._bitmap_bytes * len(rows):
            return self._null_compressed(cells, len(rows))
        return b"".join(chain.from_iterable(zip(repeat(_ROW, len(rows)), *cells, strict=True)))

    def _saved_bytes(self, cells: Sequence[list[bytes]]) -> int:
        return sum(column.count(null) * len(null) for column, (_, null) in zip(cells, self._columns, strict=True))

    def _null_compressed(self, cells: list[list[bytes]], row_count: int) -> bytes:
        # [MS-TDS] 2.2.7.16: one bit per column, lowest first; set means NULL without a cell.
        bitmaps = [0] * row_count
        for index, (_, null) in enumerate(self._columns):
            column = cells[index]
            if null not in column:
                continue
            bit = 1 << index
            for row, cell in enumerate(column):
                if cell == null:
                    bitmaps[row] |= bit
                    column[row] = b""
        heads = [_NBC_ROW + bitmap.to_bytes(self._bitmap_bytes, "little") for bitmap in bitmaps]
        return b"".join(chain.from_iterable(zip(heads, *cells, strict=True)))

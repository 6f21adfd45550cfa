"""Encodes events as lines, a few at a time, and refuses a line that is too long for the host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from dstream.sdk import Lines
from dstream.sdk.errors import DataError
from dstream_mssql_cdc.records.events import ChangeEvent

_ENCODED_LINES = 250
"""Rows encoded at a time: enough to be fast, few enough that large rows are not in memory twice."""


class LineEncoder:
    """Encodes events; `max_line` is the longest line in bytes."""

    def __init__(self, max_line: int) -> None:
        self._max_line = max_line
        self._encoder = msgspec.json.Encoder()

    def lines(self, events: Sequence[ChangeEvent]) -> Iterator[Lines]:
        """Raises DataError `mssql.row_too_large`."""
        for first in range(0, len(events), _ENCODED_LINES):
            block = events[first : first + _ENCODED_LINES]
            lines = self._encoder.encode_lines(block)
            if len(lines) > self._max_line:
                self._check_lengths(block, lines)
            yield Lines(lines, len(block))

    def _check_lengths(self, block: Sequence[ChangeEvent], lines: bytes) -> None:
        for event, line in zip(block, lines.split(b"\n"), strict=False):
            if len(line) > self._max_line:
                metadata = event.metadata
                raise DataError(
                    "mssql.row_too_large",
                    f"a row of {metadata.TableName} needs a line of {len(line):,} bytes, but max_line is "
                    f"{self._max_line:,} (LSN {metadata.LSN}, seqval {metadata.Seq}, id {metadata.Id})",
                    hint="Increase max_line in the task, or exclude columns with `columns`.",
                    config_path="columns",
                )

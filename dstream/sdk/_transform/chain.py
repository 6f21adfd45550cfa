"""Applies the transforms of a task to lines, in order. Pure.

Only the table's name is decoded of a line that no transform changes, and the line keeps its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from dstream.protocol.messages import UNREADABLE
from dstream.protocol.transforms import SCHEMA_RECORD, RouteRows, Transform
from dstream.sdk._transform.row import RowLine
from dstream.sdk._transform.steps import TransformStep, step_of
from dstream.sdk.errors import DataError

_REMEMBERED_TABLES = 10_000


class _HeadMetadata(msgspec.Struct, gc=False):
    TableName: Any = None
    OperationType: Any = None
    Id: Any = None


_NO_METADATA = _HeadMetadata()


class _Head(msgspec.Struct, gc=False):
    metadata: _HeadMetadata | None = None


_decode_head: Callable[[bytes], _Head] = msgspec.json.Decoder(_Head).decode


class TransformChain:
    """The transforms of one task, compiled."""

    def __init__(self, transforms: Sequence[Transform]) -> None:
        self._steps: list[tuple[int, Transform, TransformStep]] = []
        routed: set[str] = set()
        for index, transform in enumerate(transforms):
            self._steps.append((index, transform, step_of(transform, frozenset(routed))))
            if isinstance(transform, RouteRows):
                routed.add(transform.field)
        self._of_table: dict[str | None, list[tuple[int, Transform, TransformStep]]] = {}

    def apply(self, line: bytes) -> bytes | None:
        """Return the transformed line; None if it is dropped.

        Raises DataError for a line that a transform cannot process. The text of the error has no value of the row.
        """
        try:
            metadata = _decode_head(line).metadata or _NO_METADATA
            table = metadata.TableName if isinstance(metadata.TableName, str) else None
            steps = self._of_table.get(table)
            if steps is None:
                steps = self._choose(table)
            if not steps:
                return line
            row = RowLine(line)
        except UNREADABLE as error:
            raise _unreadable(error) from error
        is_record = metadata.OperationType == SCHEMA_RECORD
        for index, transform, step in steps:
            try:
                if is_record:
                    step.describe(row)
                elif not step.apply(row):
                    return None
            except DataError as error:
                raise _placed(error, index, transform, metadata) from error
            except (*UNREADABLE, KeyError) as error:
                raise _placed(_unreadable(error), index, transform, metadata) from error
        return row.line()

    def _choose(self, table: str | None) -> list[tuple[int, Transform, TransformStep]]:
        if len(self._of_table) >= _REMEMBERED_TABLES:
            self._of_table.clear()
        chosen = [each for each in self._steps if each[1].tables is None or table in each[1].tables]
        self._of_table[table] = chosen
        return chosen


def _unreadable(error: Exception) -> DataError:
    reason = f'"{error.args[0]}" is missing' if isinstance(error, KeyError) else str(error)
    return DataError(
        "transform.bad_line",
        f"a line from the input is not a valid row: {reason}",
        hint="Transforms need rows in the form of docs/reference/protocol.md: an object with `data` and `metadata`.",
    )


def _placed(error: DataError, index: int, transform: Transform, metadata: _HeadMetadata) -> DataError:
    """Return the error with the transform and the row that it is about."""
    path = f"transform[{index}]"
    return DataError(
        error.code,
        f"{error.message}{_described(metadata)}",
        hint=error.hint,
        config_path=f"{path}.{error.config_path}" if error.config_path else path,
    )


def _described(metadata: _HeadMetadata) -> str:
    named = [("table", metadata.TableName), ("id", metadata.Id)]
    known = ", ".join(f"{what} {value}" for what, value in named if isinstance(value, str))
    return f" ({known})" if known else ""

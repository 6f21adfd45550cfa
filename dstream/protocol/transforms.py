"""The transforms of a task, as line 1 carries them to an output with the capability `transform`.

An output applies them to each data line, in order, before it writes the line. docs/reference/protocol.md describes the
JSON form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

CAPABILITY = "transform"
SCHEMA_RECORD = "Schema"
"""The `metadata.OperationType` of a line whose `data` describes the columns of a table."""

Root = Literal["data", "before", "metadata"]
ROOTS: tuple[Root, ...] = ("data", "before", "metadata")
Operator = Literal["==", "!=", "<", "<=", ">", ">="]
Scalar = str | int | float | bool | None


class RowField(msgspec.Struct, frozen=True, tag_field="is", tag="field"):
    """A value of the row: `path` follows the members of `root`."""

    root: Root
    path: list[str]

    def __str__(self) -> str:
        return ".".join([self.root, *self.path])


class FixedValue(msgspec.Struct, frozen=True, tag_field="is", tag="value"):
    """A value that is the same for all rows."""

    value: Scalar


class Comparison(msgspec.Struct, frozen=True, tag_field="is", tag="comparison"):
    operator: Operator
    left: RowField | FixedValue
    right: RowField | FixedValue


class OneOf(msgspec.Struct, frozen=True, tag_field="is", tag="one_of"):
    """Whether the field equals one of the values."""

    field: RowField
    values: list[Scalar]


class AllOf(msgspec.Struct, frozen=True, tag_field="is", tag="all"):
    """Evaluated from left to right, up to the first that is false."""

    conditions: list[RowCondition]


class AnyOf(msgspec.Struct, frozen=True, tag_field="is", tag="any"):
    """Evaluated from left to right, up to the first that is true."""

    conditions: list[RowCondition]


class Negation(msgspec.Struct, frozen=True, tag_field="is", tag="not"):
    condition: RowCondition


RowCondition = RowField | FixedValue | Comparison | OneOf | AllOf | AnyOf | Negation
"""A field or value counts as a condition if it is true or false."""


class FilterRows(msgspec.Struct, frozen=True, tag_field="kind", tag="filter", kw_only=True):
    """Keeps the rows for which `where` is true."""

    tables: list[str] | None = None
    """The values of `metadata.TableName` that a transform applies to; None: all rows."""
    where: RowCondition


class RenameColumns(msgspec.Struct, frozen=True, tag_field="kind", tag="rename", kw_only=True):
    """Renames columns: old name to new name."""

    tables: list[str] | None = None
    columns: dict[str, str]


class DropColumns(msgspec.Struct, frozen=True, tag_field="kind", tag="drop", kw_only=True):
    """Removes columns."""

    tables: list[str] | None = None
    columns: list[str]


class MaskColumns(msgspec.Struct, frozen=True, tag_field="kind", tag="mask", kw_only=True):
    """Hides values other than null: `redact` writes `***`, `hash` the HMAC-SHA256 under `hash_key` in hex digits."""

    tables: list[str] | None = None
    columns: list[str]
    with_: Literal["hash", "redact"] = msgspec.field(name="with")
    hash_key: str = ""


class SetColumns(msgspec.Struct, frozen=True, tag_field="kind", tag="set", kw_only=True):
    """Adds columns, or replaces their values."""

    tables: list[str] | None = None
    columns: dict[str, Any]


class RouteRows(msgspec.Struct, frozen=True, tag_field="kind", tag="route", kw_only=True):
    """Sets the metadata field `field` to the joined texts of `value`, in rows for which `where` is true."""

    tables: list[str] | None = None
    field: str
    value: list[RowField | FixedValue]
    where: RowCondition = FixedValue(True)


class FlattenColumns(msgspec.Struct, frozen=True, tag_field="kind", tag="flatten", kw_only=True):
    """Replaces a column whose value is an object by one column per member, named `column` `separator` `member`."""

    tables: list[str] | None = None
    columns: list[str] | None = None
    """None: all columns."""
    separator: str = "_"


Transform = FilterRows | RenameColumns | DropColumns | MaskColumns | SetColumns | RouteRows | FlattenColumns

_decode: Callable[[msgspec.Raw], Transform] = msgspec.json.Decoder(Transform).decode


class UnknownTransform(ValueError):
    """A transform of a later version, or an invalid one; `index` is its place in the list."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


def decode_transforms(listed: Sequence[msgspec.Raw]) -> list[Transform]:
    """Decode the transforms of line 1. Raises UnknownTransform."""
    transforms = []
    for index, each in enumerate(listed):
        try:
            transforms.append(_decode(each))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnknownTransform(index, str(error)) from error
    return transforms

"""Transforms on plain Python objects, written for clarity: what `TransformChain` must do.

Numbers are `Number`, their text in the line. The model returns the row, None for a dropped row, or raises Refused with
the code of the error.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any

from dstream.protocol.transforms import (
    AllOf,
    AnyOf,
    Comparison,
    DropColumns,
    FilterRows,
    FixedValue,
    MaskColumns,
    Negation,
    OneOf,
    RenameColumns,
    RouteRows,
    RowField,
    SetColumns,
    Transform,
)


class Refused(Exception):
    """The row is an error; the argument is the code."""


class Number(str):
    """A number, as written."""

    __slots__ = ()


Row = dict[str, Any]


def parsed(line: bytes) -> Row:
    row: Row = json.loads(line, parse_int=Number, parse_float=Number)
    return row


def transformed(row: Row, transforms: list[Transform]) -> Row | None:
    row = copy.deepcopy(row)
    own_fields = set(row["metadata"])
    for transform in transforms:
        if transform.tables is not None and row["metadata"].get("TableName") not in transform.tables:
            continue
        if isinstance(transform, FilterRows):
            if not holds(transform.where, row):
                return None
        elif isinstance(transform, RouteRows):
            route(row, transform, own_fields)
        else:
            change_columns(row, transform)
    return row


def change_columns(row: Row, transform: Any) -> None:
    metadata, data = row["metadata"], row["data"]
    images = [row[name] for name in ("data", "before") if row.get(name) is not None]
    columns = transform.columns
    if transform.tables is not None and not isinstance(transform, SetColumns):
        for column in columns or ():
            if column not in data and column not in metadata["Unchanged"]:
                raise Refused("transform.column_missing")
    names: dict[str, list[str]] = {}
    """What becomes of a column's name."""
    if isinstance(transform, RenameColumns):
        names = {old: [new] for old, new in columns.items()}
        for image in images:
            rebuild(image, [(columns.get(name, name), value) for name, value in image.items()])
    elif isinstance(transform, DropColumns):
        names = {column: [] for column in columns}
        refuse_key(metadata, columns)
        for image in images:
            rebuild(image, [(name, value) for name, value in image.items() if name not in columns])
    elif isinstance(transform, MaskColumns):
        if transform.with_ == "redact":
            refuse_key(metadata, columns)
        for image in images:
            for column in columns:
                if image.get(column) is not None:
                    image[column] = masked(image[column], transform)
    elif isinstance(transform, SetColumns):
        refuse_key(metadata, columns)
        for image in images:
            image.update(parsed(json.dumps(columns).encode()))
        metadata["Unchanged"] = [name for name in metadata["Unchanged"] if name not in columns]
    else:
        for image in images:
            pairs = []
            for name, value in image.items():
                leaves = (
                    flattened(name, value, transform.separator)
                    if columns is None or name in columns
                    else [(name, value)]
                )
                if [leaf for leaf, _ in leaves] != [name]:
                    known = names.setdefault(name, [])
                    known += [leaf for leaf, _ in leaves if leaf not in known]
                pairs += leaves
            rebuild(image, pairs)
        refuse_key(metadata, names)
        metadata["Changed"] = [new for name in metadata["Changed"] for new in names.get(name, [name])]
        return
    for field in ("Key", "Changed", "Unchanged"):
        metadata[field] = [new for name in metadata[field] for new in names.get(name, [name])]


def rebuild(image: Row, pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) < len(pairs):
        raise Refused("transform.column_exists")
    image.clear()
    image.update(pairs)


def refuse_key(metadata: Row, columns: Any) -> None:
    if set(metadata["Key"]) & set(columns):
        raise Refused("transform.key_column")


def masked(value: Any, transform: MaskColumns) -> str:
    if transform.with_ == "redact":
        return "***"
    text = value if isinstance(value, str) else compact(value)
    return hmac.new(transform.hash_key.encode(), text.encode(), hashlib.sha256).hexdigest()


def compact(value: Any) -> str:
    """JSON without spaces, with numbers as they were written."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{compact(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(compact, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def flattened(name: str, value: Any, separator: str) -> list[tuple[str, Any]]:
    if not isinstance(value, dict) or not value:
        return [(name, value)]
    return [leaf for key, inner in value.items() for leaf in flattened(f"{name}{separator}{key}", inner, separator)]


def route(row: Row, transform: RouteRows, own_fields: set[str]) -> None:
    if not holds(transform.where, row):
        return
    if transform.field in own_fields:
        raise Refused("transform.field_taken")
    text = ""
    for part in transform.value:
        value = part.value if isinstance(part, FixedValue) else found(part, row)
        if value is None or isinstance(value, (dict, list)):
            raise Refused("transform.no_value")
        text += str(value).lower() if isinstance(value, bool) else value
    row["metadata"][transform.field] = text


def found(field: RowField, row: Row) -> Any:
    value = row.get(field.root)
    for depth, name in enumerate(field.path):
        if value is None:
            return None
        if not isinstance(value, dict):
            raise Refused("transform.bad_comparison")
        if depth == 0 and field.root == "data" and name not in value:
            raise Refused("transform.column_missing")
        value = value.get(name)
    return value


def holds(condition: Any, row: Row) -> bool:
    match condition:
        case AllOf():
            return all(holds(each, row) for each in condition.conditions)
        case AnyOf():
            return any(holds(each, row) for each in condition.conditions)
        case Negation():
            return not holds(condition.condition, row)
        case OneOf():
            value = operand(condition.field, row)
            return any(equal(value, operand(FixedValue(each), row)) for each in condition.values)
        case Comparison():
            left, right = operand(condition.left, row), operand(condition.right, row)
            if condition.operator in ("==", "!="):
                return equal(left, right) == (condition.operator == "==")
            return ordered(condition.operator, left, right)
    value = operand(condition, row)
    if not isinstance(value, bool):
        raise Refused("transform.bad_comparison")
    return value


def operand(source: Any, row: Row) -> Any:
    """Return None, a bool, a string or a Decimal."""
    value = found(source, row) if isinstance(source, RowField) else source.value
    if isinstance(value, (dict, list)):
        raise Refused("transform.bad_comparison")
    if isinstance(value, Number):
        return Decimal(value)
    return Decimal(repr(value)) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def numeric(value: Any) -> Decimal | None:
    if isinstance(value, Decimal):
        return value
    try:
        is_plain = (
            isinstance(value, str) and set(value) <= set("0123456789.-+eE") and not value.startswith(("+", ".", "-."))
        )
        number = json.loads(value, parse_int=Decimal, parse_float=Decimal) if is_plain else None
    except ValueError:
        return None
    return number if isinstance(number, Decimal) else None


def equal(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return left is right
    if type(left) is type(right):
        return bool(left == right)
    if numeric(left) is None or numeric(right) is None:
        raise Refused("transform.bad_comparison")
    return numeric(left) == numeric(right)


def ordered(operator: str, left: Any, right: Any) -> bool:
    if numeric(left) is not None and numeric(right) is not None:
        left, right = numeric(left), numeric(right)
    elif not (isinstance(left, str) and isinstance(right, str)):
        raise Refused("transform.bad_comparison")
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator])

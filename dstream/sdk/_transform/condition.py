"""Compiles conditions to functions of a row.

Numbers are compared exactly. A comparison that makes no sense is an error, because its result would drop rows.
Otherwise the rules are those of HCL, which converts a string to a number if it needs one.
docs/guides/transform-rows.md describes them.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from dstream.protocol.transforms import (
    AllOf,
    AnyOf,
    Comparison,
    FixedValue,
    Negation,
    OneOf,
    Operator,
    RowCondition,
    RowField,
    Scalar,
)
from dstream.sdk._transform.row import RowLine, members_of
from dstream.sdk.errors import DataError

Test = Callable[[RowLine], bool]
FieldValue = str | Decimal | bool | None

_NUMERAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LONGEST_NUMERAL = 1000
_decode_text: Callable[[msgspec.Raw], str] = msgspec.json.Decoder(str).decode
_ORDERS: Mapping[Operator, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_IN_WORDS = {type(None): "null", bool: "a bool", Decimal: "a number", str: "a string"}


def compiled(condition: RowCondition) -> Test:
    """Return a function that tests a row. It raises DataError if it cannot, and what RowLine raises."""
    match condition:
        case AllOf():
            tests = [compiled(each) for each in condition.conditions]
            return lambda row: all(test(row) for test in tests)
        case AnyOf():
            tests = [compiled(each) for each in condition.conditions]
            return lambda row: any(test(row) for test in tests)
        case Negation():
            test = compiled(condition.condition)
            return lambda row: not test(row)
        case Comparison():
            return _comparison(condition)
        case OneOf():
            field = condition.field
            values = [_fixed(value) for value in condition.values]
            return lambda row: _is_one_of(value_of(row, field), values, str(field))
        case _:
            read = _reader(condition)
            return lambda row: _truth(read(row), condition)


def value_of(row: RowLine, field: RowField) -> FieldValue:
    """Return a field's value. A column of `data` must exist; any other missing member is null. Raises DataError."""
    raw = raw_value_of(row, field)
    return None if raw is None else _value(bytes(raw), raw, field)


def raw_value_of(row: RowLine, field: RowField) -> msgspec.Raw | None:
    """Return a field's value as it is written; None for null and for a missing member. Raises DataError."""
    members = row.data if field.root == "data" else row.part(field.root)
    raw: msgspec.Raw | None = None
    for depth, name in enumerate(field.path):
        if members is None:
            return None
        if depth == 0 and field.root == "data" and name not in members:
            raise DataError(
                "transform.column_missing",
                f'a row has no column "{name}"',
                hint="Correct the name, or set `tables` to the tables that have the column.",
            )
        raw = members.get(name)
        if raw is None or bytes(raw) == b"null":
            return None
        if depth + 1 < len(field.path):
            if not bytes(raw).startswith(b"{"):
                raise _bad(f"{field.root}.{'.'.join(field.path[: depth + 1])} is not an object")
            members = members_of(raw)
    return raw


def uses_columns(condition: RowCondition) -> bool:
    """Whether the condition reads `data` or `before`."""
    match condition:
        case RowField():
            return condition.root != "metadata"
        case FixedValue():
            return False
        case Comparison():
            return uses_columns(condition.left) or uses_columns(condition.right)
        case OneOf():
            return uses_columns(condition.field)
        case Negation():
            return uses_columns(condition.condition)
        case _:
            return any(uses_columns(each) for each in condition.conditions)


def _value(text: bytes, raw: msgspec.Raw, field: RowField) -> FieldValue:
    if text[0] == 0x22:  # a quote
        return _decode_text(raw)
    if text in (b"true", b"false"):
        return text == b"true"
    if text[0] in b"{[":
        kind = "an object" if text[0] == 0x7B else "a list"
        raise _bad(f"{field} is {kind}, which cannot be compared")
    try:
        return Decimal(text.decode())
    except InvalidOperation:
        raise _bad(f"{field} is a number whose exponent is too large to compare") from None


def _fixed(value: Scalar) -> FieldValue:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    return Decimal(value) if isinstance(value, int) else Decimal(repr(value))


def _reader(source: RowField | FixedValue) -> Callable[[RowLine], FieldValue]:
    if isinstance(source, RowField):
        return lambda row: value_of(row, source)
    value = _fixed(source.value)
    return lambda _: value


def _comparison(condition: Comparison) -> Test:
    left, right = _reader(condition.left), _reader(condition.right)
    what = " and ".join(str(each) for each in (condition.left, condition.right) if isinstance(each, RowField))
    if condition.operator == "==":
        return lambda row: _equal(left(row), right(row), what)
    if condition.operator == "!=":
        return lambda row: not _equal(left(row), right(row), what)
    order = _ORDERS[condition.operator]
    return lambda row: order(*_ordered(left(row), right(row), what))


def _is_one_of(value: FieldValue, values: list[FieldValue], what: str) -> bool:
    return any(_equal(value, each, what) for each in values)


def _equal(left: FieldValue, right: FieldValue, what: str) -> bool:
    if left is None or right is None:
        return left is right
    if type(left) is not type(right):
        numbers = _as_number(left), _as_number(right)
        if None in numbers:
            raise _mismatch(left, right, what)
        return numbers[0] == numbers[1]
    return left == right


def _ordered(left: FieldValue, right: FieldValue, what: str) -> tuple[Any, Any]:
    """Return both values in a form that can be ordered: two numbers, else two strings."""
    if left is None or right is None:
        raise _bad(f"{what} is null, which is neither less nor greater", f"Test it first: {what} != null && ..")
    numbers = _as_number(left), _as_number(right)
    if None not in numbers:
        return numbers
    if isinstance(left, str) and isinstance(right, str):
        return left, right
    raise _mismatch(left, right, what)


def _as_number(value: FieldValue) -> Decimal | None:
    if isinstance(value, str):
        if len(value) > _LONGEST_NUMERAL or not _NUMERAL.fullmatch(value):
            return None
        with suppress(InvalidOperation):  # the exponent is too large
            return Decimal(value)
        return None
    return value if isinstance(value, Decimal) else None


def _truth(value: FieldValue, condition: RowCondition) -> bool:
    if not isinstance(value, bool):
        raise _bad(f"{condition} is {_IN_WORDS[type(value)]}, but a condition is true or false")
    return value


def _mismatch(left: FieldValue, right: FieldValue, what: str) -> DataError:
    return _bad(f"{what}: {_IN_WORDS[type(left)]} cannot be compared with {_IN_WORDS[type(right)]}")


def _bad(message: str, hint: str = "") -> DataError:
    return DataError("transform.bad_comparison", message, hint=hint)

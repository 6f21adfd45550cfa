"""The common type of two operands (Microsoft Learn, "Data type precedence (Transact-SQL)" and "Precision, scale, and
length (Transact-SQL)")."""

from __future__ import annotations

from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.storage import scale_of
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import MAX, SqlType

_ORDER_TEXT = """
    geometry geography hierarchyid sql_variant xml datetimeoffset datetime2 datetime smalldatetime date time float
    real decimal numeric money smallmoney bigint int smallint tinyint bit ntext text image rowversion
    uniqueidentifier nvarchar nchar varchar char varbinary binary
"""
_ORDER = tuple(_ORDER_TEXT.split())
_RANK = {name: rank for rank, name in enumerate(_ORDER)}
_INTEGER_DIGITS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19, "bit": 1}


def as_decimal(type_: SqlType) -> SqlType:
    """Return the decimal that holds all values of an exact type."""
    if type_.name in names.DECIMALS:
        return type_
    if type_.name in names.MONIES:
        return SqlType("numeric", None, 19 if type_.name == "money" else 10, 4)
    return SqlType("numeric", None, _INTEGER_DIGITS[type_.name], 0)


def common_type(left: SqlType, right: SqlType) -> SqlType:
    """Return the type of CASE, UNION, COALESCE and of both sides of a comparison."""
    if left == right:
        return left
    winner, other = (left, right) if _RANK[left.name] <= _RANK[right.name] else (right, left)
    if winner.name in names.DECIMALS and (
        other.name in names.DECIMALS or other.name in _INTEGER_DIGITS or other.name in names.MONIES
    ):
        return _wide_decimal(as_decimal(winner), as_decimal(other))
    if winner.name in names.CHARACTER and other.name in names.CHARACTER:
        return _wide_text(winner, other)
    if winner.name in names.BINARY and other.name in names.BINARY:
        length = MAX if MAX in (winner.length, other.length) else max(winner.length or 8, other.length or 8)
        return SqlType("varbinary" if winner.name != other.name else winner.name, length)
    if winner.name == other.name and winner.scale is not None:
        return SqlType(winner.name, scale=max(winner.scale, other.scale or 0))
    if winner.name in ("datetime2", "datetimeoffset") and other.name in ("time", "datetime2"):
        return SqlType(winner.name, scale=max(winner.scale or 0, other.scale or 0))
    return winner


def _wide_text(winner: SqlType, other: SqlType) -> SqlType:
    name = winner.name
    if other.name != winner.name and name in ("nchar", "char"):
        name = "nvarchar" if name == "nchar" else "varchar"
    if name == "nchar" and winner.length != other.length:
        name = "nvarchar"
    if name == "char" and winner.length != other.length:
        name = "varchar"
    length = MAX if MAX in (winner.length, other.length) else max(winner.length or 1, other.length or 1)
    limit = 4000 if name in names.UNICODE else 8000
    return SqlType(name, length if length <= limit else MAX, collation=winner.collation or other.collation)


def _wide_decimal(left: SqlType, right: SqlType) -> SqlType:
    scale = max(scale_of(left), scale_of(right))
    whole = max((left.precision or 18) - scale_of(left), (right.precision or 18) - scale_of(right))
    return _limited(whole + scale, scale, _name(left, right))


def _name(left: SqlType, right: SqlType) -> str:
    return "decimal" if "decimal" in (left.name, right.name) else "numeric"


def _limited(precision: int, scale: int, name: str) -> SqlType:
    """Reduce the scale if there are more than 38 digits, but keep at least 6 decimals."""
    if precision > 38:
        scale = max(min(scale, 6), scale - (precision - 38))
        precision = 38
    return SqlType(name, None, precision, scale)


def arithmetic_type(operator: str, left: SqlType, right: SqlType) -> SqlType:
    """Return the result type of + - * / % on numbers. Raises 8117 for types without arithmetic."""
    for type_ in (left, right):
        if (
            type_.name not in _RANK
            or type_.name in names.CLR
            or type_.name in ("xml", "sql_variant", "uniqueidentifier", "bit")
        ):
            if type_.name == "bit" and left.name != right.name:
                continue
            raise SqlError(8117, f"Operand data type {type_.name} is invalid for {_OPERATIONS[operator]} operator.")
    winner = left if _RANK[left.name] <= _RANK[right.name] else right
    if winner.name in names.DECIMALS:
        return _decimal_result(operator, as_decimal(left), as_decimal(right))
    if winner.name == "real" and "float" in (left.name, right.name):
        return names.FLOAT
    return winner


_OPERATIONS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "%": "modulo"}


def _decimal_result(operator: str, left: SqlType, right: SqlType) -> SqlType:
    p1, s1, p2, s2 = left.precision or 18, scale_of(left), right.precision or 18, scale_of(right)
    if operator in "+-":
        scale = max(s1, s2)
        return _limited(max(p1 - s1, p2 - s2) + scale + 1, scale, _name(left, right))
    if operator == "*":
        return _limited(p1 + p2 + 1, s1 + s2, _name(left, right))
    if operator == "/":
        scale = max(6, s1 + p2 + 1)
        return _limited(p1 - s1 + s2 + scale, scale, _name(left, right))
    scale = max(s1, s2)
    return _limited(min(p1 - s1, p2 - s2) + scale, scale, _name(left, right))

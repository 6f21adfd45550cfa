"""Arithmetic, concatenation and comparison of compiled operands."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from dstream_sandbox.sqlserver.engine.binder.casts import cast_sql, implicit
from dstream_sandbox.sqlserver.engine.binder.expression import Ex, f1, f2
from dstream_sandbox.sqlserver.engine.storage.connection import collation_for
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.number_conversions import LIMITS, category, rescale
from dstream_sandbox.sqlserver.engine.types.precedence import arithmetic_type, as_decimal, common_type
from dstream_sandbox.sqlserver.engine.types.storage import is_big, pack_big, scale_of, unpack_big, variant_parts
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import MAX, TICKS_PER_DAY, SqlType


def arithmetic(operator: str, left: Ex, right: Ex) -> Ex:
    """Compile + - * / % & | ^ with T-SQL's result types. Raises 8117 and 402, and at run time 8115 and 8134."""
    left_type, right_type = left.type, right.type
    if left_type is None or right_type is None:
        type_ = left_type or right_type or names.INT
        return Ex("NULL", type_)
    if operator in "&|^":
        return _bitwise(operator, left, right, left_type, right_type)
    if operator == "+" and (joined := _concatenation(left, right, left_type, right_type)) is not None:
        return joined
    if left_type.name in ("datetime", "smalldatetime") or right_type.name in ("datetime", "smalldatetime"):
        return _datetime_days(operator, left, right)
    left, right = _numbers(left, right)
    assert left.type is not None
    assert right.type is not None
    left, right = _literal_beside_decimal(left, right.type), _literal_beside_decimal(right, left.type)
    assert left.type is not None
    assert right.type is not None
    result = arithmetic_type(operator, left.type, right.type)
    nullable = left.nullable or right.nullable
    if result.name in names.INTEGERS:
        return Ex(_integer_sql(operator, cast_sql(left, result), cast_sql(right, result), result), result, nullable)
    if result.name in names.APPROXIMATE:
        return Ex(
            _float_sql(operator, cast_sql(left, names.FLOAT), cast_sql(right, names.FLOAT), result), result, nullable
        )
    if result.name in names.MONIES:
        return Ex(_money_sql(operator, cast_sql(left, result), cast_sql(right, result), result), result, nullable)
    if result.name not in names.DECIMALS:
        raise SqlError(8117, f"Operand data type {result.name} is invalid for {operator} operator.")
    return Ex(_decimal_sql(operator, left, right, result), result, nullable)


def _literal_beside_decimal(ex: Ex, other: SqlType | None) -> Ex:
    """An integer constant next to a decimal has only the digits it is written with: 7 / 2.0 is numeric(8,6)."""
    digits = ex.sql.lstrip("-")
    if other is not None and other.name in names.DECIMALS and ex.type == names.INT and digits.isdigit():
        return Ex(ex.sql, SqlType("numeric", None, len(digits), 0), ex.nullable)
    return ex


def _numbers(left: Ex, right: Ex) -> tuple[Ex, Ex]:
    """Convert text next to a number to the number's type."""
    assert left.type is not None
    assert right.type is not None
    if left.type.name in names.CHARACTER and right.type.name not in names.CHARACTER:
        return Ex(cast_sql(left, right.type), right.type, left.nullable), right
    if right.type.name in names.CHARACTER and left.type.name not in names.CHARACTER:
        return left, Ex(cast_sql(right, left.type), left.type, right.nullable)
    return left, right


def _integer_sql(operator: str, left: str, right: str, result: SqlType) -> str:
    low, high = LIMITS[result.name]
    if operator in "+-*":
        return f1(("fit", result.name), lambda: _fitter(low, high, result.name), f"({left}{operator}{right})")
    if operator == "/":
        return f2(("idiv", result.name), lambda: _divide_integers, left, right)
    return f2("imod", lambda: _modulo_integers, left, right)


def _fitter(low: int, high: int, name: str) -> Callable[[Any], int]:
    def fit(value: Any) -> int:
        if value.__class__ is int and low <= value <= high:
            return int(value)
        raise SqlError(8115, f"Arithmetic overflow error converting expression to data type {name}.")

    return fit


def divide_by_zero() -> SqlError:
    return SqlError(8134, "Divide by zero error encountered.")


def _divide_integers(left: int, right: int) -> int:
    if right == 0:
        raise divide_by_zero()
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _modulo_integers(left: int, right: int) -> int:
    if right == 0:
        raise divide_by_zero()
    return (
        int(math.fmod(left, right))
        if abs(left) < 2**53 and abs(right) < 2**53
        else left - right * _divide_integers(left, right)
    )


def _float_sql(operator: str, left: str, right: str, result: SqlType) -> str:
    functions: dict[str, Callable[[float, float], float]] = {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
        "/": _divide_floats,
    }
    if operator == "%":
        raise SqlError(8117, "Operand data type float is invalid for modulo operator.")
    function = functions[operator]

    def checked(a: float, b: float) -> float:
        value = function(a, b)
        if math.isinf(value) or math.isnan(value):
            raise SqlError(8115, "Arithmetic overflow error converting expression to data type float.")
        return value

    return f2(("float", operator), lambda: checked, left, right)


def _divide_floats(left: float, right: float) -> float:
    if right == 0:
        raise divide_by_zero()
    return left / right


def _money_sql(operator: str, left: str, right: str, result: SqlType) -> str:
    low, high = LIMITS[result.name]
    fit = _fitter(low, high, result.name)

    def compute(a: int, b: int) -> int:
        if operator == "+":
            return fit(a + b)
        if operator == "-":
            return fit(a - b)
        if operator == "*":
            return fit(rescale(a * b, 8, 4))
        if b == 0:
            raise divide_by_zero()
        if operator == "/":
            return fit(_divide_integers(a * 10_000, b))
        return fit(a - b * _divide_integers(a, b))

    return f2(("money", operator, result.name), lambda: compute, left, right)


def _decimal_sql(operator: str, left: Ex, right: Ex, result: SqlType) -> str:
    assert left.type is not None
    assert right.type is not None
    if left.type.name in names.APPROXIMATE or right.type.name in names.APPROXIMATE:
        raise SqlError(8117, "Operand data type float is invalid here.")
    a_type, b_type = as_decimal(left.type), as_decimal(right.type)
    key = ("decimal", operator, left.type, right.type, result)
    return f2(key, lambda: decimal_operation(operator, a_type, b_type, result), left.sql, right.sql)


def decimal_operation(operator: str, left: SqlType, right: SqlType, result: SqlType) -> Callable[[Any, Any], Any]:
    """Return the operation on stored decimals."""
    s1, s2, scale = scale_of(left), scale_of(right), scale_of(result)
    limit = 10 ** (result.precision or 18)
    pack: Callable[[int], Any] = pack_big if is_big(result) else int

    def number(value: Any) -> int:
        return unpack_big(value) if isinstance(value, bytes) else value

    def compute(a: Any, b: Any) -> Any:
        x, y = number(a), number(b)
        if operator in "+-":
            high = max(s1, s2)
            x, y = x * 10 ** (high - s1), y * 10 ** (high - s2)
            value = rescale(x + y if operator == "+" else x - y, high, scale)
        elif operator == "*":
            value = rescale(x * y, s1 + s2, scale)
        else:
            if y == 0:
                raise divide_by_zero()
            if operator == "/":
                value = _divide_integers(x * 10 ** (scale + s2), y * 10**s1)
            else:
                high = max(s1, s2)
                x, y = x * 10 ** (high - s1), y * 10 ** (high - s2)
                value = rescale(x - y * _divide_integers(x, y), high, scale)
        if -limit < value < limit:
            return pack(value)
        raise SqlError(8115, "Arithmetic overflow error converting expression to data type numeric.")

    return compute


def _bitwise(operator: str, left: Ex, right: Ex, left_type: SqlType, right_type: SqlType) -> Ex:
    allowed = names.INTEGERS | {"bit"}
    if left_type.name not in allowed or right_type.name not in allowed:
        words = {"&": "boolean AND", "|": "boolean OR", "^": "boolean XOR"}
        raise SqlError(
            402,
            f"The data types {left_type.name} and {right_type.name} are incompatible in the '{operator}' operator "
            f"({words[operator]}).",
        )
    type_ = common_type(left_type, right_type)
    nullable = left.nullable or right.nullable
    if operator == "^":
        return Ex(f2("xor", lambda: lambda a, b: a ^ b, left.sql, right.sql), type_, nullable)
    return Ex(f"({left.sql}{operator}{right.sql})", type_, nullable)


def _concatenation(left: Ex, right: Ex, left_type: SqlType, right_type: SqlType) -> Ex | None:
    nullable = left.nullable or right.nullable
    if left_type.name in names.BINARY and right_type.name in names.BINARY:
        length = joined_length(left_type, right_type, 8000)
        return Ex(f2("bytes+", lambda: lambda a, b: a + b, left.sql, right.sql), SqlType("varbinary", length), nullable)
    if left_type.name in names.CHARACTER and right_type.name in names.CHARACTER:
        if left_type.name in names.LEGACY_LOBS or right_type.name in names.LEGACY_LOBS:
            raise SqlError(
                402, f"The data types {left_type.name} and {right_type.name} are incompatible in the add operator."
            )
        wide = left_type.name in names.UNICODE or right_type.name in names.UNICODE
        limit = 4000 if wide else 8000
        length = joined_length(left_type, right_type, limit)
        name = "nvarchar" if wide else "varchar"
        sql = f"({left.sql}||{right.sql})"
        if length == limit:
            sql = f"substr({sql},1,{limit})"
        type_ = SqlType(name, length, collation=left_type.collation or right_type.collation)
        return Ex(sql, type_, nullable, left.collation or right.collation)
    return None


def joined_length(left: SqlType, right: SqlType, limit: int) -> int:
    if MAX in (left.length, right.length):
        return MAX
    return min((left.length or 1) + (right.length or 1), limit)


def _datetime_days(operator: str, left: Ex, right: Ex) -> Ex:
    """Compile datetime + number of days; datetime - datetime is a datetime counted from 1900."""
    if operator not in "+-" or left.type is None or right.type is None:
        raise SqlError(8117, "Operand data type datetime is invalid for this operator.")
    type_ = left.type if left.type.name in ("datetime", "smalldatetime") else right.type
    a, b = cast_sql(left, type_), cast_sql(right, type_)
    epoch = 693595 * TICKS_PER_DAY
    sql = f"({a}+{b}-{epoch})" if operator == "+" else f"({a}-{b}+{epoch})"
    return Ex(sql, type_, left.nullable or right.nullable)


def comparison(operator: str, left: Ex, right: Ex) -> str:
    """Compile a comparison. Raises 402, 306 or 206 for types that cannot be compared."""
    if left.type is None or right.type is None:
        return f"({left.sql}{operator}{right.sql})"
    left_type, right_type = left.type, right.type
    for type_ in (left_type, right_type):
        if type_.name in ("text", "ntext", "image", "xml", "geometry", "geography"):
            raise SqlError(
                306,
                "The text, ntext, and image data types cannot be compared or sorted, except when using "
                "IS NULL or LIKE operator."
                if type_.name in names.LEGACY_LOBS
                else f"Invalid operator for data type. Operator equals {operator}, type equals {type_.name}.",
            )
    if left_type.name in names.CHARACTER and right_type.name in names.CHARACTER:
        _require_one_collation(operator, left, right)
        return f"({left.sql}{operator}{right.sql} COLLATE {text_collation(left, right)})"
    type_ = common_type(left_type, right_type)
    if type_.name == "sql_variant":
        a, b = cast_sql(left, type_), cast_sql(right, type_)
        return f"({f2('variant', lambda: compare_variants, a, b)}{operator}0)"
    for side in (left_type, right_type):
        implicit(side, type_)
    if type_.name == "datetimeoffset":
        return f"(substr({cast_sql(left, type_)},1,8){operator}substr({cast_sql(right, type_)},1,8))"
    return f"({cast_sql(left, type_)}{operator}{cast_sql(right, type_)})"


_OPERATIONS = {
    "=": "equal to", "<>": "not equal to", "<": "less than", "<=": "less than or equal to", ">": "greater than",
    ">=": "greater than or equal to",
}  # fmt: skip


def _require_one_collation(operator: str, left: Ex, right: Ex) -> None:
    """Raise 468 for two columns with different collations, unless COLLATE decides (Microsoft Learn, "Collation
    precedence"). Only a column has a name."""
    kinds = [ex.type.collation for ex in (left, right) if ex.name and ex.type is not None and ex.type.collation]
    if len(set(kinds)) == 2 and not left.collation and not right.collation:
        raise SqlError(
            468,
            f'Cannot resolve the collation conflict between "{kinds[0]}" and "{kinds[1]}" in the '
            f"{_OPERATIONS.get(operator, operator)} operation.",
        )


def text_collation(left: Ex, right: Ex | None = None) -> str:
    """Return SQLite's collation for a comparison: that of COLLATE, otherwise of a column, otherwise the default."""
    for ex in (left, right):
        if ex is not None and ex.collation:
            return collation_for(ex.collation)
    for ex in (left, right):
        if ex is not None and ex.type is not None and ex.type.collation not in (None, names.DEFAULT_COLLATION):
            return collation_for(ex.type.collation)
    return "ci"


def compare_variants(left: str, right: str) -> int:
    """Compare two values of one type family in their common type. SQL Server compares the families first (Microsoft
    Learn, "sql_variant (Transact-SQL)", Comparing)."""
    (left_type, a), (right_type, b) = variant_parts(left), variant_parts(right)
    if category(left_type) != category(right_type):
        type_ = common_type(left_type, right_type)
        raise SqlError(40515, f"The sandbox does not compare sql_variant values of different families ({type_.name}).")
    if category(left_type) in ("dec", "money"):
        from dstream_sandbox.sqlserver.engine.types.convert import convert

        type_ = common_type(left_type, right_type)
        first, second = convert(left_type, type_), convert(right_type, type_)
        a, b = (first(a) if first else a), (second(b) if second else b)
    if isinstance(a, str) and isinstance(b, str):
        from dstream_sandbox.sqlserver.engine.storage.connection import ci_key

        x, y = ci_key(a), ci_key(b)
        return (x > y) - (x < y)
    return (a > b) - (a < b)  # type: ignore[operator]  # one family

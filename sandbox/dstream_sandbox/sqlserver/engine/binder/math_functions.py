"""Mathematical functions (Microsoft Learn, "Mathematical functions (Transact-SQL)")."""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dstream_sandbox.sqlserver.engine.binder.casts import cast_sql
from dstream_sandbox.sqlserver.engine.binder.expression import Ex, f1, f2, fn, fv
from dstream_sandbox.sqlserver.engine.errors import argument_count
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.number_conversions import LIMITS
from dstream_sandbox.sqlserver.engine.types.storage import is_big, pack_big, pack_guid, scale_of, unpack_big
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import SqlType

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.binder.functions import FunctionBinder


def _number(binder: FunctionBinder, node: nodes.Node) -> Ex:
    """Return an argument as a number; text becomes float."""
    ex = binder.infer(binder.value(node), names.FLOAT)
    if ex.type is None:
        return Ex(ex.sql, names.FLOAT)
    if ex.type.name in names.CHARACTER:
        return Ex(cast_sql(ex, names.FLOAT), names.FLOAT, ex.nullable)
    if ex.type.name in ("tinyint", "smallint", "bit"):
        return Ex(ex.sql, names.INT, ex.nullable)
    return ex


def _float_function(function: Callable[[float], float]) -> Callable[[FunctionBinder, nodes.Call], Ex]:
    def compile_call(binder: FunctionBinder, node: nodes.Call) -> Ex:
        if len(node.args) != 1:
            raise argument_count(node.name[-1], "1")
        ex = _number(binder, node.args[0])
        return Ex(f1(("math", node.name[-1]), lambda: _checked(function), cast_sql(ex, names.FLOAT)), names.FLOAT)

    return compile_call


def _checked(function: Callable[[float], float]) -> Callable[[float], float]:
    def call(value: float) -> float:
        try:
            return function(value)
        except (ValueError, OverflowError):
            raise SqlError(3623, "An invalid floating point operation occurred.") from None

    return call


def _keeping_type(name: str) -> Callable[[FunctionBinder, nodes.Call], Ex]:
    """Compile ABS, SIGN, CEILING or FLOOR: exact types stay exact."""

    def compile_call(binder: FunctionBinder, node: nodes.Call) -> Ex:
        if len(node.args) != 1:
            raise argument_count(name, "1")
        ex = _number(binder, node.args[0])
        assert ex.type is not None
        type_, scale = ex.type, scale_of(ex.type)
        result = type_
        if name in ("ceiling", "floor") and type_.name in names.DECIMALS:
            result = SqlType(type_.name, None, type_.precision, 0)
        return Ex(f1((name, type_), lambda: _exact(name, type_, scale, result), ex.sql), result, ex.nullable)

    return compile_call


def _exact(name: str, type_: SqlType, scale: int, result: SqlType) -> Callable[[Any], Any]:
    if type_.name in names.APPROXIMATE:
        floats: dict[str, Callable[[float], float]] = {
            "abs": abs,
            "sign": lambda v: float((v > 0) - (v < 0)),
            "ceiling": lambda v: float(math.ceil(v)),
            "floor": lambda v: float(math.floor(v)),
        }
        return floats[name]
    unit = 10**scale
    pack: Callable[[int], Any] = pack_big if is_big(result) else int

    def compute(value: Any) -> Any:
        number = unpack_big(value) if isinstance(value, bytes) else value
        if name == "abs":
            found = abs(number)
            if type_.name in LIMITS and found > LIMITS[type_.name][1]:
                raise SqlError(8115, f"Arithmetic overflow error converting expression to data type {type_.name}.")
            return pack(found)
        if name == "sign":
            return pack(((number > 0) - (number < 0)) * unit)
        whole = number // unit if name == "floor" else -(-number // unit)
        return pack(whole if type_.name in names.DECIMALS else whole * unit)

    return compute


def _round(binder: FunctionBinder, node: nodes.Call) -> Ex:
    if len(node.args) not in (2, 3):
        raise argument_count("round", "2 to 3")
    ex = _number(binder, node.args[0])
    places = binder.value(node.args[1]).sql
    cut = binder.value(node.args[2]).sql if len(node.args) == 3 else "0"
    assert ex.type is not None
    type_, scale = ex.type, scale_of(ex.type)

    def compute(value: Any, digits: int | None, truncate: int | None) -> Any:
        if value is None or digits is None:
            return None
        if isinstance(value, float):
            factor = 10.0**digits
            scaled = value * factor
            return (
                math.trunc(scaled) / factor
                if truncate
                else math.floor(abs(scaled) + 0.5) / factor * (1 if value >= 0 else -1)
            )
        number = unpack_big(value) if isinstance(value, bytes) else value
        if digits >= scale:
            return value
        unit = 10 ** (scale - digits)
        found = int(number / unit) * unit if truncate and abs(number) < 2**52 else _round_to(number, unit, truncate)
        if type_.name in names.DECIMALS and abs(found) >= 10 ** (type_.precision or 18):
            raise SqlError(8115, "Arithmetic overflow error converting expression to data type numeric.")
        return pack_big(found) if isinstance(value, bytes) else found

    return Ex(fn(("round", type_), lambda: compute, ex.sql, places, cut), type_, ex.nullable)


def _round_to(number: int, unit: int, truncate: int | None) -> int:
    quotient, rest = divmod(abs(number), unit)
    if not truncate and rest * 2 >= unit:
        quotient += 1
    return (quotient if number >= 0 else -quotient) * unit


def _power(binder: FunctionBinder, node: nodes.Call) -> Ex:
    if len(node.args) != 2:
        raise argument_count("power", "2")
    base, exponent = _number(binder, node.args[0]), _number(binder, node.args[1])

    def compute(a: float, b: float) -> float:
        try:
            value = a**b
        except ZeroDivisionError:
            raise SqlError(8134, "Divide by zero error encountered.") from None
        except OverflowError:
            raise SqlError(8115, "Arithmetic overflow error converting expression to data type float.") from None
        if isinstance(value, complex):
            raise SqlError(3623, "An invalid floating point operation occurred.")
        return float(value)

    sql = f2("power", lambda: compute, cast_sql(base, names.FLOAT), cast_sql(exponent, names.FLOAT))
    assert base.type is not None
    return Ex(cast_sql(Ex(sql, names.FLOAT), base.type), base.type)


def _log(binder: FunctionBinder, node: nodes.Call) -> Ex:
    ex = _number(binder, node.args[0])
    if len(node.args) == 1:
        return Ex(f1(("math", "log"), lambda: _checked(math.log), cast_sql(ex, names.FLOAT)), names.FLOAT)
    base = _number(binder, node.args[1])
    return Ex(
        f2("log2", lambda: lambda v, b: math.log(v, b), cast_sql(ex, names.FLOAT), cast_sql(base, names.FLOAT)),
        names.FLOAT,
    )


def _atn2(binder: FunctionBinder, node: nodes.Call) -> Ex:
    a, b = _number(binder, node.args[0]), _number(binder, node.args[1])
    return Ex(f2("atn2", lambda: math.atan2, cast_sql(a, names.FLOAT), cast_sql(b, names.FLOAT)), names.FLOAT)


def _rand(binder: FunctionBinder, node: nodes.Call) -> Ex:
    """Constant within one query. A seed gives a repeatable number, but not SQL Server's."""
    if node.args:
        seed = binder.value(node.args[0])
        return Ex(f1("rand", lambda: lambda s: random.Random(s).random(), cast_sql(seed, names.BIGINT)), names.FLOAT)
    return binder.session_value("random")


def _newid(binder: FunctionBinder, node: nodes.Call) -> Ex:
    return Ex(fv("newid", lambda: lambda: pack_guid(uuid.uuid4())), names.GUID, False)


def _square(binder: FunctionBinder, node: nodes.Call) -> Ex:
    ex = _number(binder, node.args[0])
    return Ex(f1(("math", "square"), lambda: lambda v: v * v, cast_sql(ex, names.FLOAT)), names.FLOAT)


FUNCTIONS: dict[str, Callable[[FunctionBinder, nodes.Call], Ex]] = {
    "abs": _keeping_type("abs"),
    "sign": _keeping_type("sign"),
    "ceiling": _keeping_type("ceiling"),
    "floor": _keeping_type("floor"),
    "round": _round,
    "power": _power,
    "square": _square,
    "sqrt": _float_function(math.sqrt),
    "exp": _float_function(math.exp),
    "log": _log,
    "log10": _float_function(math.log10),
    "sin": _float_function(math.sin),
    "cos": _float_function(math.cos),
    "tan": _float_function(math.tan),
    "cot": _float_function(lambda v: 1 / math.tan(v)),
    "asin": _float_function(math.asin),
    "acos": _float_function(math.acos),
    "atan": _float_function(math.atan),
    "atn2": _atn2,
    "degrees": _float_function(math.degrees),
    "radians": _float_function(math.radians),
    "pi": lambda binder, node: Ex(repr(math.pi), names.FLOAT, False),
    "rand": _rand,
    "newid": _newid,
    "newsequentialid": _newid,
}

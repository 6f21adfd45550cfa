"""String and binary functions (Microsoft Learn, "String functions (Transact-SQL)")."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dstream_sandbox.sqlserver.engine.binder.casts import cast_sql
from dstream_sandbox.sqlserver.engine.binder.expression import Ex, f1, f2, fn
from dstream_sandbox.sqlserver.engine.binder.operators import text_collation
from dstream_sandbox.sqlserver.engine.binder.text_arguments import SHORT_TEXT, integer_of, need, resized, text_of
from dstream_sandbox.sqlserver.engine.binder.text_search_functions import (
    _charindex,
    _format,
    _hashbytes,
    _isjson,
    _isnumeric,
    _json,
    _parsename,
    _patindex,
    _translate,
)
from dstream_sandbox.sqlserver.engine.errors import argument_count
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.convert import convert
from dstream_sandbox.sqlserver.engine.types.number_conversions import category
from dstream_sandbox.sqlserver.half_pairs import units_of
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import MAX, SqlType

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.binder.functions import FunctionBinder


def _same_text(function: Callable[[str], str]) -> Callable[[FunctionBinder, nodes.Call], Ex]:
    def compile_call(binder: FunctionBinder, node: nodes.Call) -> Ex:
        need(node, 1)
        ex = text_of(binder, node.args[0])
        return Ex(f1(node.name[-1], lambda: function, ex.sql), resized(ex), ex.nullable, ex.collation)

    return compile_call


def _to_number(function: Callable[[Any], int | None]) -> Callable[[FunctionBinder, nodes.Call], Ex]:
    def compile_call(binder: FunctionBinder, node: nodes.Call) -> Ex:
        need(node, 1)
        ex = text_of(binder, node.args[0])
        return Ex(f1(node.name[-1], lambda: function, ex.sql), names.INT)

    return compile_call


def _len(binder: FunctionBinder, node: nodes.Call) -> Ex:
    need(node, 1)
    ex = binder.value(node.args[0])
    if ex.type is not None and category(ex.type) == "bin":
        return Ex(f"length({ex.sql})", names.INT)
    ex = text_of(binder, node.args[0])
    type_ = names.BIGINT if ex.type is not None and ex.type.length == MAX else names.INT
    return Ex(f1("len", lambda: lambda v: names.text_units(v.rstrip(" ")), ex.sql), type_, ex.nullable)


def _datalength(binder: FunctionBinder, node: nodes.Call) -> Ex:
    need(node, 1)
    ex = binder.value(node.args[0])
    type_ = ex.type
    if type_ is None:
        return Ex("NULL", names.INT)
    result = names.BIGINT if type_.length == MAX else names.INT
    if type_.name in names.UNICODE or type_.name == "xml":
        return Ex(f1("utf16", lambda: lambda v: len(units_of(v)), ex.sql), result, ex.nullable)
    if category(type_) in ("str", "bin"):
        return Ex(f"length({ex.sql})", result, ex.nullable)
    change = convert(type_, names.VARBINARY_MAX)
    sizes = {"date": 3, "datetime": 8, "smalldatetime": 4}
    size = sizes.get(type_.name)
    if size is None and type_.name in ("time", "datetime2", "datetimeoffset"):
        scale = 7 if type_.scale is None else type_.scale
        size = {"time": 3, "datetime2": 6, "datetimeoffset": 8}[type_.name] + (
            0 if scale < 3 else 1 if scale < 5 else 2
        )
    if size is None and type_.name in names.DECIMALS:
        precision = type_.precision or 18
        size = 5 if precision < 10 else 9 if precision < 20 else 13 if precision < 29 else 17
    if size is not None:
        return Ex(f"(CASE WHEN {ex.sql} IS NULL THEN NULL ELSE {size} END)", result, ex.nullable)
    return Ex(f1(("datalength", type_), lambda: lambda v: len(change(v) if change else v), ex.sql), result, ex.nullable)


def _substring(binder: FunctionBinder, node: nodes.Call) -> Ex:
    need(node, 3)
    value = binder.value(node.args[0])
    start, length = integer_of(binder, node.args[1]), integer_of(binder, node.args[2])
    if value.type is None or category(value.type) != "bin":
        value = text_of(binder, node.args[0])
        type_ = resized(value)
    else:
        type_ = SqlType("varbinary", value.type.length if value.type.name in ("binary", "varbinary") else 8000)
    sql = fn("substring", lambda: _cut, value.sql, start.sql, length.sql)
    return Ex(sql, type_, True, value.collation)


def _cut(value: Any, start: int | None, length: int | None) -> Any:
    if value is None or start is None or length is None:
        return None
    if length < 0:
        raise SqlError(537, "Invalid length parameter passed to the LEFT or SUBSTRING function.")
    end = start - 1 + length
    return value[max(start - 1, 0) : max(end, 0)]


def _left(binder: FunctionBinder, node: nodes.Call) -> Ex:
    need(node, 2)
    value, count = text_of(binder, node.args[0]), integer_of(binder, node.args[1])
    right = node.name[-1] == "right"

    def take(text: str, number: int) -> str:
        if number < 0:
            raise SqlError(536 if right else 537, "Invalid length parameter passed to the left or right function.")
        return (text[-number:] if number else "") if right else names.cut_units(text, number)

    return Ex(f2(node.name[-1], lambda: take, value.sql, count.sql), resized(value), True, value.collation)


def _concat(binder: FunctionBinder, node: nodes.Call) -> Ex:
    """NULL counts as an empty string."""
    if len(node.args) < 2:
        raise argument_count("concat", "2 to 254")
    parts = [text_of(binder, a) for a in node.args]
    with_separator = node.name[-1] == "concat_ws"
    wide = any(p.type is not None and p.type.name in names.UNICODE for p in parts)
    long = any(p.type is not None and p.type.length == MAX for p in parts)
    total = sum((p.type.length or 1) if p.type is not None else 1 for p in parts)
    limit = 4000 if wide else 8000
    type_ = SqlType(
        "nvarchar" if wide else "varchar", MAX if long else max(min(total, limit), 1), collation=names.DEFAULT_COLLATION
    )
    function = _join_with if with_separator else _join
    return Ex(fn(node.name[-1], lambda: function, *(p.sql for p in parts)), type_, False)


def _join(*parts: str | None) -> str:
    return "".join(p for p in parts if p is not None)


def _join_with(separator: str | None, *parts: str | None) -> str:
    return (separator or "").join(p for p in parts if p is not None)


def _replace(binder: FunctionBinder, node: nodes.Call) -> Ex:
    need(node, 3)
    parts = [text_of(binder, a) for a in node.args]
    collation = text_collation(parts[0])
    flags = 0 if collation in ("cs", "bin") else re.IGNORECASE

    def change(text: str | None, old: str | None, new: str | None) -> str | None:
        if text is None or old is None or new is None:
            return None
        return text if not old else re.sub(re.escape(old), lambda _: new, text, flags=flags)

    wide = any(p.type is not None and p.type.name in names.UNICODE for p in parts)
    long = any(p.type is not None and p.type.length == MAX for p in parts)
    type_ = SqlType(
        "nvarchar" if wide else "varchar", MAX if long else 4000 if wide else 8000, collation=names.DEFAULT_COLLATION
    )
    return Ex(fn(("replace", flags), lambda: change, *(p.sql for p in parts)), type_)


def _replicate(binder: FunctionBinder, node: nodes.Call) -> Ex:
    need(node, 2)
    text, count = text_of(binder, node.args[0]), integer_of(binder, node.args[1])
    long = text.type is not None and text.type.length == MAX
    type_ = resized(text, MAX if long else 8000)
    limit = 2**30 if long else (4000 if type_.name == "nvarchar" else 8000)

    def repeat(value: str, times: int) -> str | None:
        return None if times < 0 else (value * times)[:limit]

    return Ex(f2(("replicate", limit), lambda: repeat, text.sql, count.sql), type_)


def _space(binder: FunctionBinder, node: nodes.Call) -> Ex:
    need(node, 1)
    count = integer_of(binder, node.args[0])
    return Ex(f1("space", lambda: lambda n: None if n < 0 else " " * min(n, 8000), count.sql), SHORT_TEXT)


def _stuff(binder: FunctionBinder, node: nodes.Call) -> Ex:
    need(node, 4)
    text, new = text_of(binder, node.args[0]), text_of(binder, node.args[3])
    start, length = integer_of(binder, node.args[1]), integer_of(binder, node.args[2])

    def change(value: str | None, at: int | None, count: int | None, insert: str | None) -> str | None:
        if value is None or at is None or count is None or not 1 <= at <= len(value) or count < 0:
            return None
        return value[: at - 1] + (insert or "") + value[at - 1 + count :]

    type_ = resized(text, MAX if text.type is not None and text.type.length == MAX else 8000)
    return Ex(fn("stuff", lambda: change, text.sql, start.sql, length.sql, new.sql), type_)


def _trim(binder: FunctionBinder, node: nodes.Call) -> Ex:
    need(node, 1)
    ex = text_of(binder, node.args[0])
    function: Callable[[str], str] = {
        "trim": lambda v: v.strip(" "),
        "ltrim": lambda v: v.lstrip(" "),
        "rtrim": lambda v: v.rstrip(" "),
    }[node.name[-1]]
    return Ex(f1(node.name[-1], lambda: function, ex.sql), resized(ex), ex.nullable, ex.collation)


def _char(binder: FunctionBinder, node: nodes.Call) -> Ex:
    need(node, 1)
    code = integer_of(binder, node.args[0])
    wide = node.name[-1] == "nchar"

    def char(value: int) -> str | None:
        if wide:
            return chr(value) if 0 <= value <= 0x10FFFF else None
        return bytes([value]).decode("cp1252", "replace") if 0 <= value <= 255 else None

    type_ = SqlType("nchar" if wide else "char", 1, collation=names.DEFAULT_COLLATION)
    return Ex(f1(node.name[-1], lambda: char, code.sql), type_)


def _str(binder: FunctionBinder, node: nodes.Call) -> Ex:
    need(node, 1, 3)
    value = binder.value(node.args[0])
    length = integer_of(binder, node.args[1]).sql if len(node.args) > 1 else "10"
    digits = integer_of(binder, node.args[2]).sql if len(node.args) > 2 else "0"

    def show(number: float | None, width: int, places: int) -> str | None:
        if number is None:
            return None
        text = f"{number:.{min(places, 16)}f}"
        return text.rjust(width) if len(text.split(".")[0]) <= width else "*" * width

    return Ex(fn("str", lambda: show, cast_sql(value, names.FLOAT), length, digits), SHORT_TEXT)


def _quotename(binder: FunctionBinder, node: nodes.Call) -> Ex:
    need(node, 1, 2)
    text = text_of(binder, node.args[0])
    mark = text_of(binder, node.args[1]).sql if len(node.args) > 1 else "'['"

    def wrap(value: str, char: str) -> str | None:
        if len(value) > 128:
            return None
        if char in ("'", '"', "`"):
            return char + value.replace(char, char * 2) + char
        pairs = {"[": "]", "]": "]", "(": ")", ")": ")", "<": ">", ">": ">", "{": "}", "}": "}"}
        if char not in pairs:
            return None
        close = pairs[char]
        opening = {"]": "[", ")": "(", ">": "<", "}": "{"}[close]
        return opening + value.replace(close, close * 2) + close

    return Ex(
        f2("quotename", lambda: wrap, text.sql, mark), SqlType("nvarchar", 258, collation=names.DEFAULT_COLLATION)
    )


def _ascii(text: str) -> int | None:
    return text.encode("cp1252", "replace")[0] if text else None


def _soundex(text: str) -> str:
    codes = {c: d for d, cs in zip("123456", ("BFPV", "CGJKQSXZ", "DT", "L", "MN", "R"), strict=True) for c in cs}
    letters = [c for c in unicodedata.normalize("NFD", text.upper()) if c.isalpha()]
    if not letters:
        return "0000"
    out, last = letters[0], codes.get(letters[0], "")
    for char in letters[1:]:
        code = codes.get(char, "")
        if code and code != last:
            out += code
        if char not in "HW":
            last = code
    return out[:4].ljust(4, "0")


FUNCTIONS: dict[str, Callable[[FunctionBinder, nodes.Call], Ex]] = {
    "len": _len,
    "datalength": _datalength,
    "substring": _substring,
    "left": _left,
    "right": _left,
    "upper": _same_text(str.upper),
    "ucase": _same_text(str.upper),
    "lower": _same_text(str.lower),
    "lcase": _same_text(str.lower),
    "reverse": _same_text(lambda v: v[::-1]),
    "soundex": _same_text(_soundex),
    "ltrim": _trim,
    "rtrim": _trim,
    "trim": _trim,
    "ascii": _to_number(_ascii),
    "unicode": _to_number(lambda v: ord(v[0]) if v else None),
    "char": _char,
    "nchar": _char,
    "concat": _concat,
    "concat_ws": _concat,
    "replace": _replace,
    "replicate": _replicate,
    "space": _space,
    "charindex": _charindex,
    "patindex": _patindex,
    "stuff": _stuff,
    "str": _str,
    "hashbytes": _hashbytes,
    "format": _format,
    "quotename": _quotename,
    "parsename": _parsename,
    "json_value": _json,
    "json_query": _json,
    "isjson": _isjson,
    "isnumeric": _isnumeric,
    "translate": _translate,
}

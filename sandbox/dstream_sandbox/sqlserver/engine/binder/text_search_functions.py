"""String functions that search, hash, read JSON or split names."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.binder.casts import cast_sql
from dstream_sandbox.sqlserver.engine.binder.expression import Ex, f2, fn
from dstream_sandbox.sqlserver.engine.binder.operators import text_collation
from dstream_sandbox.sqlserver.engine.binder.text_arguments import ANY_TEXT, integer_of, need, resized, text_of
from dstream_sandbox.sqlserver.engine.errors import unsupported
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.like import compiled
from dstream_sandbox.sqlserver.engine.types.number_conversions import category
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import MAX, SqlType

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.binder.functions import FunctionBinder


def _charindex(binder: FunctionBinder, node: nodes.Call) -> Ex:
    need(node, 2, 3)
    needle, hay = text_of(binder, node.args[0]), text_of(binder, node.args[1])
    start = integer_of(binder, node.args[2]).sql if len(node.args) == 3 else "1"
    exact = text_collation(needle, hay) in ("cs", "bin")

    def find(a: str | None, b: str | None, at: int | None) -> int | None:
        if a is None or b is None:
            return None
        if not exact:
            a, b = a.lower(), b.lower()
        return b.find(a, max((at or 1) - 1, 0)) + 1 if a else 0

    type_ = names.BIGINT if hay.type is not None and hay.type.length == MAX else names.INT
    return Ex(fn(("charindex", exact), lambda: find, needle.sql, hay.sql, start), type_)


def _patindex(binder: FunctionBinder, node: nodes.Call) -> Ex:
    need(node, 2)
    pattern, hay = text_of(binder, node.args[0]), text_of(binder, node.args[1])
    collation = text_collation(hay, pattern)

    def find(wanted: str, text: str) -> int:
        anchored = not wanted.startswith("%")
        body = wanted if anchored else wanted[1:]
        open_end = body.endswith("%")
        expression = compiled(body[:-1] if open_end else body, None, collation)
        for at in range(len(text) + 1):
            match = expression.match(text, at)
            if match and (open_end or match.end() == len(text)):
                return at + 1
            if anchored:
                break
        return 0

    return Ex(f2(("patindex", collation), lambda: find, pattern.sql, hay.sql), names.INT)


def _hashbytes(binder: FunctionBinder, node: nodes.Call) -> Ex:
    need(node, 2)
    algorithm, value = text_of(binder, node.args[0]), binder.value(node.args[1])
    known = {"md5": "md5", "sha": "sha1", "sha1": "sha1", "sha2_256": "sha256", "sha2_512": "sha512"}

    def digest(name: str, data: bytes) -> bytes | None:
        found = known.get(name.lower())
        return hashlib.new(found, data, usedforsecurity=False).digest() if found else None

    return Ex(
        f2("hashbytes", lambda: digest, algorithm.sql, cast_sql(value, names.VARBINARY_MAX)), SqlType("varbinary", 8000)
    )


def _format(binder: FunctionBinder, node: nodes.Call) -> Ex:
    raise unsupported("FORMAT, which uses .NET format strings")


def _parsename(binder: FunctionBinder, node: nodes.Call) -> Ex:
    need(node, 2)
    text, piece = text_of(binder, node.args[0]), integer_of(binder, node.args[1])

    def part(name: str, number: int) -> str | None:
        from dstream_sandbox.sqlserver.engine.catalog.naming import split_name

        parts = split_name(name)
        if not parts or not 1 <= number <= len(parts):
            return None
        return parts[-number] or None

    return Ex(f2("parsename", lambda: part, text.sql, piece.sql), names.SYSNAME)


def _json(binder: FunctionBinder, node: nodes.Call) -> Ex:
    from dstream_sandbox.sqlserver.engine.binder.json_paths import json_query, json_value

    name = node.name[-1]
    need(node, 1, 2)
    text = text_of(binder, node.args[0])
    path = text_of(binder, node.args[1]).sql if len(node.args) > 1 else "'$'"
    if name == "json_value":
        return Ex(f2(name, lambda: json_value, text.sql, path), ANY_TEXT)
    return Ex(f2(name, lambda: json_query, text.sql, path), names.NVARCHAR_MAX)


def _isjson(binder: FunctionBinder, node: nodes.Call) -> Ex:
    return Ex(f"json_valid({text_of(binder, node.args[0]).sql})", names.INT)


def _isnumeric(binder: FunctionBinder, node: nodes.Call) -> Ex:
    need(node, 1)
    ex = binder.value(node.args[0])
    if ex.type is not None and category(ex.type) in ("int", "dec", "money", "float", "bit"):
        return Ex(f"({ex.sql} IS NOT NULL)", names.INT, False)
    text = text_of(binder, node.args[0])
    pattern = re.compile(r"\s*[+-]?\s*[$€£]?\s*(\d[\d,]*\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$")
    return Ex(
        fn("isnumeric", lambda: lambda v: 1 if v is not None and pattern.match(v) else 0, text.sql), names.INT, False
    )


def _translate(binder: FunctionBinder, node: nodes.Call) -> Ex:
    need(node, 3)
    parts = [text_of(binder, a) for a in node.args]

    def change(text: str | None, old: str | None, new: str | None) -> str | None:
        if text is None or old is None or new is None:
            return None
        if len(old) != len(new):
            raise SqlError(
                9828,
                "The second and third arguments of the TRANSLATE built-in function must contain an equal "
                "number of characters.",
            )
        return text.translate(str.maketrans(old, new))

    return Ex(fn("translate", lambda: change, *(p.sql for p in parts)), resized(parts[0]))

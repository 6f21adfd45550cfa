"""The template functions: Go's own, and those of Sprig that are useful in a configuration."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from dstream.config.gotemplate.go_date import go_date
from dstream.config.gotemplate.values import Unset, check_length, failed, is_empty, items, mapping, printed, text, whole

READING = frozenset({"env", "expandenv"})
"""Functions that read the environment."""
_WIDEST = 10_000
TOLERANT = frozenset({"default", "coalesce", "empty", "ternary", "required", "and", "or", "not", "eq", "ne", "fail"})
"""Functions that accept an unset environment variable as an argument; all others return it unchanged."""


def functions(environ: Mapping[str, str], now: Callable[[], datetime]) -> dict[str, Callable[..., Any]]:
    return {
        **_FUNCTIONS,
        "env": partial(_env, environ),
        "expandenv": partial(_expandenv, environ),
        "now": now,
        "date": lambda layout, at: go_date(text(layout), _time(at).astimezone()),
        "htmlDate": lambda at: _time(at).astimezone().strftime("%Y-%m-%d"),
        "unixEpoch": lambda at: str(int(_time(at).timestamp())),
    }


def _env(environ: Mapping[str, str], name: Any) -> str:
    return environ[text(name)] if text(name) in environ else Unset.of(name)


def _expandenv(environ: Mapping[str, str], value: Any) -> str:
    names = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
    unset = next((m[1] or m[2] for m in names.finditer(text(value)) if (m[1] or m[2]) not in environ), None)
    return Unset.of(unset) if unset else names.sub(lambda m: environ[m[1] or m[2]], value)


def _time(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise failed("expected a time, e.g. now")
    return value


def _default(fallback: Any, value: Any = None) -> Any:
    return fallback if is_empty(value) else value


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if not is_empty(value)), None)


def _required(message: Any, value: Any) -> Any:
    if value is None or value == "":
        raise failed(text(message))
    return value


def _fail(message: Any) -> Any:
    raise failed(text(message))


def _and(first: Any, *rest: Any) -> Any:
    return next((value for value in (first, *rest) if is_empty(value)), (first, *rest)[-1])


def _or(first: Any, *rest: Any) -> Any:
    return next((value for value in (first, *rest) if not is_empty(value)), (first, *rest)[-1])


def _quote(*values: Any) -> str:
    """Quote like Go's %q, which matches HCL's strings except for `${`."""
    return " ".join(json.dumps(printed(value), ensure_ascii=False) for value in values if value is not None)


def _squote(*values: Any) -> str:
    return " ".join(f"'{printed(value)}'" for value in values if value is not None)


def _b64dec(value: Any) -> str:
    try:
        return base64.b64decode(text(value), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise failed("not valid base64 of text") from None


def _printf(layout: Any, *values: Any) -> str:
    left = list(values)

    def verb(match: re.Match[str]) -> str:
        flags, letter = match[1], match[2]
        if any(int(size) > _WIDEST for size in re.findall(r"\d{1,9}", flags)):
            raise failed(f"{match[0]} is wider than {_WIDEST:,}")
        if letter == "%":
            return "%"
        if not left:
            raise failed("more verbs than arguments")
        value = left.pop(0)
        if letter in "dxXo":
            return f"%{flags}{letter}" % whole(value)
        if letter in "feg":
            return f"%{flags}{letter}" % float(value)
        return f"%{flags}s" % (_quote(value) if letter == "q" else printed(value))

    return re.sub(r"%([-+ 0#]*\d*(?:\.\d+)?)([a-zA-Z%])", verb, text(layout))


def _repeat(count: Any, value: Any) -> str:
    times = min(whole(count), _WIDEST)
    check_length(len(text(value)) * times)
    return text(value) * times


def _replace(old: Any, new: Any, value: Any) -> str:
    check_length(text(value).count(text(old)) * len(text(new)))
    return text(value).replace(text(old), text(new))


def _trunc(length: Any, value: Any) -> str:
    return text(value)[: whole(length)] if whole(length) >= 0 else text(value)[whole(length) :]


def _substr(start: Any, end: Any, value: Any) -> str:
    return text(value)[max(whole(start), 0) : whole(end) if whole(end) >= 0 else None]


def _indent(spaces: Any, value: Any) -> str:
    check_length((text(value).count("\n") + 1) * whole(spaces))
    return "\n".join(" " * whole(spaces) + line for line in text(value).split("\n"))


def _join(separator: Any, value: Any) -> str:
    return text(separator).join(printed(item) for item in (value if isinstance(value, list) else [value]))


def _number(value: Any) -> int | float:
    number = float(value) if not isinstance(value, (int, float)) else value
    return int(number) if number == int(number) else number


def _sum(*values: Any) -> int:
    return sum(whole(value) for value in values)


def _product(*values: Any) -> int:
    result = 1
    for value in values:
        result = whole(result * whole(value))
    return result


def _quotient(dividend: Any, divisor: Any) -> int:
    """Divide towards zero, like Go."""
    if whole(divisor) == 0:
        raise failed("division by zero")
    return int(Decimal(whole(dividend)) / Decimal(whole(divisor)))


def _remainder(dividend: Any, divisor: Any) -> int:
    return whole(dividend) - whole(divisor) * _quotient(dividend, divisor)


def _dict(*pairs: Any) -> dict[str, Any]:
    return {printed(key): pairs[i * 2 + 1] if i * 2 + 1 < len(pairs) else "" for i, key in enumerate(pairs[::2])}


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = mapping(value).get(key) if isinstance(value, dict) else items(value)[whole(key)]
    return value


def _equals(first: Any, *others: Any) -> bool:
    return any(first == other for other in others)


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    # Go's text/template
    "and": _and,
    "or": _or,
    "not": is_empty,
    "eq": _equals,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "len": lambda value: len(value),
    "index": _index,
    "print": lambda *values: "".join(printed(value) for value in values),
    "printf": _printf,
    # Sprig: defaults
    "default": _default,
    "coalesce": _coalesce,
    "empty": is_empty,
    "ternary": lambda yes, no, condition: yes if condition is True else no,
    "required": _required,
    "fail": _fail,
    # Sprig: text
    "upper": lambda value: text(value).upper(),
    "lower": lambda value: text(value).lower(),
    "title": lambda value: re.sub(r"\b\w", lambda m: m[0].upper(), text(value)),
    "trim": lambda value: text(value).strip(),
    "trimAll": lambda cut, value: text(value).strip(text(cut)),
    "trimPrefix": lambda prefix, value: text(value).removeprefix(text(prefix)),
    "trimSuffix": lambda suffix, value: text(value).removesuffix(text(suffix)),
    "replace": _replace,
    "repeat": _repeat,
    "trunc": _trunc,
    "substr": _substr,
    "nospace": lambda value: re.sub(r"\s", "", text(value)),
    "contains": lambda part, value: text(part) in text(value),
    "hasPrefix": lambda prefix, value: text(value).startswith(text(prefix)),
    "hasSuffix": lambda suffix, value: text(value).endswith(text(suffix)),
    "quote": _quote,
    "squote": _squote,
    "cat": lambda *values: " ".join(printed(value) for value in values if value is not None),
    "indent": _indent,
    "nindent": lambda spaces, value: "\n" + _indent(spaces, value),
    "toString": printed,
    "b64enc": lambda value: base64.b64encode(text(value).encode()).decode(),
    "b64dec": _b64dec,
    "sha256sum": lambda value: hashlib.sha256(text(value).encode()).hexdigest(),
    # Sprig: numbers
    "int": whole,
    "int64": whole,
    "atoi": whole,
    "float64": _number,
    "add": _sum,
    "add1": lambda value: whole(value) + 1,
    "sub": lambda a, b: whole(a) - whole(b),
    "mul": _product,
    "div": _quotient,
    "mod": _remainder,
    "max": lambda *values: max(whole(value) for value in values),
    "min": lambda *values: min(whole(value) for value in values),
    # Sprig: lists and dicts
    "list": lambda *values: list(values),
    "splitList": lambda separator, value: text(value).split(text(separator)),
    "join": _join,
    "first": lambda value: items(value)[0],
    "last": lambda value: items(value)[-1],
    "rest": lambda value: items(value)[1:],
    "initial": lambda value: items(value)[:-1],
    "has": lambda needle, value: needle in items(value),
    "uniq": lambda value: list({printed(item): item for item in items(value)}.values()),
    "without": lambda value, *unwanted: [item for item in items(value) if item not in unwanted],
    "compact": lambda value: [item for item in items(value) if not is_empty(item)],
    "sortAlpha": lambda value: sorted(printed(item) for item in items(value)),
    "dict": _dict,
    "get": lambda value, key: mapping(value).get(key, ""),
    "hasKey": lambda value, key: key in mapping(value),
    "keys": lambda value: sorted(mapping(value)),
    "toJson": _to_json,
    "fromJson": lambda value: json.loads(text(value)),
}

"""Functions that depend only on their arguments. Names and behavior follow Terraform."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable
from typing import Any

from dstream.config.values.function_table import CallFailed, Function
from dstream.config.values.values import NotConvertible, Value, equal, kind, to_bool, to_json, to_number, to_text

_VERB = re.compile(r"%([-+ 0#]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])")
_MOST_RANGE_ITEMS = 1024
"""Terraform's limit: a longer list is a mistake that would only fill memory."""


def _base64decode(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise CallFailed("not valid base64 of UTF-8 text", 0) from None


def _jsondecode(text: str) -> Any:
    try:
        return json.loads(text, parse_float=_json_number, parse_constant=_no_json_constant)
    except (json.JSONDecodeError, RecursionError):
        raise CallFailed("not valid JSON", 0) from None


def _json_number(text: str) -> Any:
    return to_number(text)


def _no_json_constant(text: str) -> Any:
    raise CallFailed(f"{text} is not valid JSON", 0)


def _yamldecode(text: str) -> Value:
    from dstream.config.values.yaml import NotYaml, decode

    try:
        return decode(text)
    except NotYaml as error:
        raise CallFailed(f"not valid YAML: {error}", 0) from None


def _replace(text: str, old: str, new: str) -> str:
    """Replace text. In slashes, `old` is a regular expression, with `$1` in `new`, as in Terraform."""
    if len(old) < 2 or old[0] != "/" or old[-1] != "/":
        return text.replace(old, new)
    try:
        template = re.sub(r"\$(?:\{(\w+)\}|(\d+))", lambda m: f"\\g<{m[1] or m[2]}>", new.replace("\\", "\\\\"))
        return re.sub(old[1:-1], template, text)
    except (re.error, IndexError):
        raise CallFailed("not a valid regular expression with these groups", 1) from None


def _split(separator: str, text: str) -> list[str]:
    if not separator:
        return list(text)
    return text.split(separator) if text else []


def _join(separator: str, *lists: list[Value]) -> str:
    return separator.join(_text_item(item, i + 1) for i, items in enumerate(lists) for item in items)


def _text_item(item: Value, argument: int) -> str:
    try:
        return to_text(item)
    except NotConvertible as error:
        raise CallFailed(f"the list contains {error}, which is not a string", argument) from None


def _format(layout: str, *values: Value) -> str:
    """Format with the verbs that Terraform's format supports: %s %d %f %e %g %t %q %v %x %X %b %o %%."""
    used = 0

    def written(match: re.Match[str]) -> str:
        nonlocal used
        flags, width, precision, verb = match.groups()
        if verb == "%":
            return "%"
        if used >= len(values):
            raise CallFailed(f"no argument for %{verb}")
        used += 1
        return _verb(verb, flags, width or "", precision, values[used - 1], used)

    result = _VERB.sub(written, layout)
    if used < len(values):
        raise CallFailed(f"no verb for argument {used + 2}", used + 1)
    return result


def _verb(verb: str, flags: str, width: str, precision: str | None, value: Value, argument: int) -> str:
    dot = "" if precision is None else f".{precision}"
    try:
        if verb in "dxXob":
            whole = to_number(value)
            if not isinstance(whole, int):
                raise NotConvertible("a fraction")
            return format(whole, "b") if verb == "b" else f"%{flags}{width}{verb}" % whole
        if verb in "feEgG":
            return f"%{flags}{width}{dot}{verb}" % float(to_number(value))
        if verb == "t":
            text = to_text(to_bool(value))
        elif verb in "sv":
            text = to_text(value) if verb == "s" or isinstance(value, (str, int, float)) else to_json(value)
        elif verb == "q":
            text = json.dumps(to_text(value), ensure_ascii=False)
        else:
            raise CallFailed(f"unknown verb %{verb}", 0)
    except NotConvertible as error:
        raise CallFailed(f"%{verb} cannot format argument {argument + 1}, {error}", argument) from None
    return f"%{flags.replace('0', '')}{width}{dot}s" % text


def _length(value: Value) -> int:
    if isinstance(value, (str, list, dict)):
        return len(value)
    raise CallFailed(f"argument 1 must be a string, a list or an object, not {kind(value)}", 0)


def _merge(*objects: dict[str, Value]) -> dict[str, Value]:
    return {key: value for each in objects for key, value in each.items()}


def _lookup(value: dict[str, Value], key: str, *default: Value) -> Value:
    if key in value:
        return value[key]
    if default:
        return default[0]
    raise CallFailed(f'the object has no key "{key}", and no default is given', 1)


def _coalesce(*values: Value) -> Value:
    found = next((value for value in values if value is not None and value != ""), None)
    if found is None:
        raise CallFailed("all arguments are null or empty")
    return found


def _toset(values: list[Value]) -> list[Value]:
    unique: list[Value] = []
    for value in values:
        if not any(equal(value, other) for other in unique):
            unique.append(value)
    return sorted(unique, key=lambda value: (kind(value), value)) if _sortable(unique) else unique


def _sortable(values: Iterable[Value]) -> bool:
    return all(isinstance(value, (str, int, float)) for value in values)


def _range(*limits: int | float) -> list[int | float]:
    start, stop = (0, limits[0]) if len(limits) == 1 else limits[:2]
    step = limits[2] if len(limits) == 3 else (1 if stop >= start else -1)
    if step == 0 or (stop - start) * step < 0:
        raise CallFailed("the step must lead from the start to the limit", 2 if len(limits) == 3 else None)
    count = abs((stop - start) / step)
    if count > _MOST_RANGE_ITEMS:
        raise CallFailed(f"more than {_MOST_RANGE_ITEMS} numbers")
    items: list[int | float] = []
    while (start + len(items) * step - stop) * step < 0:
        items.append(start + len(items) * step)
    return items


def _tonumber(value: Value) -> int | float | None:
    try:
        return None if value is None else to_number(value)
    except NotConvertible as error:
        raise CallFailed(f"argument 1 must be a number, not {error}", 0) from None


def _tobool(value: Value) -> bool | None:
    try:
        return None if value is None else to_bool(value)
    except NotConvertible:
        raise CallFailed(f"argument 1 must be true or false, not {kind(value)}", 0) from None


def _tostring(value: Value) -> str | None:
    try:
        return None if value is None else to_text(value)
    except NotConvertible as error:
        raise CallFailed(f"argument 1 must be a string, not {error}", 0) from None


FUNCTIONS_OF_VALUES: dict[str, Function] = {
    "base64decode": Function(_base64decode, ("text",)),
    "base64encode": Function(lambda text: base64.b64encode(text.encode()).decode(), ("text",)),
    "coalesce": Function(_coalesce, ("any",), rest="any"),
    "concat": Function(lambda *lists: [item for items in lists for item in items], ("list",), rest="list"),
    "format": Function(_format, ("text",), rest="any"),
    "join": Function(_join, ("text", "list"), rest="list"),
    "jsondecode": Function(_jsondecode, ("text",)),
    "jsonencode": Function(to_json, ("any",)),
    "keys": Function(sorted, ("object",)),
    "length": Function(_length, ("any",)),
    "lookup": Function(_lookup, ("object", "text", "any"), optional=1),
    "lower": Function(str.lower, ("text",)),
    "max": Function(lambda *numbers: max(numbers), ("number",), rest="number"),
    "merge": Function(_merge, ("object",), rest="object"),
    "min": Function(lambda *numbers: min(numbers), ("number",), rest="number"),
    "range": Function(_range, ("number", "number", "number"), optional=2),
    "replace": Function(_replace, ("text", "text", "text")),
    "split": Function(_split, ("text", "text")),
    "tobool": Function(_tobool, ("any",)),
    "tonumber": Function(_tonumber, ("any",)),
    "toset": Function(_toset, ("list",)),
    "tostring": Function(_tostring, ("any",)),
    "trim": Function(lambda text, cut: text.strip(cut) if cut else text, ("text", "text")),
    "upper": Function(str.upper, ("text",)),
    "values": Function(lambda value: [value[key] for key in sorted(value)], ("object",)),
    "yamldecode": Function(_yamldecode, ("text",)),
}

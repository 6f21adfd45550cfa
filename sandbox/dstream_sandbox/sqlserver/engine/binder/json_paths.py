"""JSON for T-SQL: OPENJSON and the paths of JSON_VALUE and JSON_QUERY; and STRING_SPLIT, whose rows SQLite reads
through json_each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from dstream_sandbox.sqlserver.session import SqlError

_STEP = re.compile(r'\.\s*"((?:[^"\\]|\\.)*)"|\.\s*([\w$-]+)|\[(\d+)\]')
_TYPES: tuple[tuple[type | tuple[type, ...], int], ...] = ((bool, 3), (str, 1), ((int, float), 2), (list, 4), (dict, 5))


def split_rows(text: str, separator: str) -> str:
    return json.dumps(text.split(separator))


def find(document: str, path: str) -> tuple[bool, Any]:
    """Return whether the path exists, and its value. Raises 13609 for invalid JSON, 13608 for a missing strict path."""
    strict, rest = (
        path.strip().lower().startswith("strict"),
        re.sub(r"^\s*(strict|lax)\s+", "", path.strip(), flags=re.IGNORECASE),
    )
    try:
        value = json.loads(document)
    except ValueError:
        raise SqlError(13609, "JSON text is not properly formatted. Unexpected character is found.") from None
    for step in _STEP.finditer(rest[1:]):
        key = step[1] if step[1] is not None else step[2]
        if key is not None and isinstance(value, dict) and key in value:
            value = value[key]
        elif step[3] is not None and isinstance(value, list) and int(step[3]) < len(value):
            value = value[int(step[3])]
        elif strict:
            raise SqlError(13608, "Property cannot be found on the specified JSON path.")
        else:
            return False, None
    return True, value


def scalar_text(value: Any) -> str | None:
    if value is None or isinstance(value, (dict, list)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def json_value(document: str, path: str) -> str | None:
    return scalar_text(find(document, path)[1])


def json_query(document: str, path: str) -> str | None:
    value = find(document, path)[1]
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if isinstance(value, (dict, list)) else None


def json_rows(whole: bool) -> Callable[[str, str], str]:
    """Return a function that lists OPENJSON's rows as a JSON array: the elements (`whole`), or key, value and type."""

    def rows(document: str, path: str) -> str:
        _, value = find(document, path)
        if whole:
            return json.dumps(value if isinstance(value, list) else [] if value is None else [value])
        pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        return json.dumps([{"k": str(k), "v": _text(v), "t": _type(v)} for k, v in pairs])

    return rows


def _text(value: Any) -> str | None:
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return scalar_text(value)


def _type(value: Any) -> int:
    return next((number for kind, number in _TYPES if isinstance(value, kind)), 0)


def json_field(as_json: bool) -> Callable[[Any, str], str | None]:
    def field(element: Any, path: str) -> str | None:
        document = element if isinstance(element, str) else json.dumps(element)
        return json_query(document, path) if as_json else json_value(document, path)

    return field

"""Makes what providers and services report harmless for a terminal, before a view formats it. Pure.

Names take one line. Values, notes, messages and T-SQL may take several, which the views indent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from dstream.shown import shown, shown_lines

T = TypeVar("T")
_OF_SEVERAL_LINES = frozenset({"note", "message", "old", "new", "old_text", "new_text", "text", "fix"})
_NOT_SHOWN = frozenset({"plan", "error"})
"""The plan document is for the provider only; `show_errors` escapes errors."""


def displayed(reported: T) -> T:
    """Return a copy with all texts escaped."""
    return _displayed(reported, "")  # type: ignore[no-any-return]  # a copy has the type of the original


def _displayed(value: Any, field: str) -> Any:
    if isinstance(value, str):
        return shown_lines(value) if field in _OF_SEVERAL_LINES else shown(value)
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **_fields(msgspec.structs.asdict(value)))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        return dataclasses.replace(value, **_fields(named))
    if isinstance(value, Mapping):
        return {shown(str(name)): _displayed(each, field) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_displayed(each, field) for each in value)
    return value


def _fields(named: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _displayed(each, name) for name, each in named.items() if name not in _NOT_SHOWN}

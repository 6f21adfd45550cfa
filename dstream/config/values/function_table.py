"""Declares functions of the language, and checks calls against the declaration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dstream.config.values.sensitive import SensitiveMark, joined, mark_of, marked, opened, revealed
from dstream.config.values.unify import NotUnifiable, unified
from dstream.config.values.values import NotConvertible, Value, derived, kind, to_bool, to_number, to_text

Kind = Literal["text", "number", "whole", "list", "texts", "flags", "unified", "object", "any"]
"""The type of an argument. `texts` and `flags`: a list of strings or bools, with nulls; `unified`: of elements of one
type."""


class CallFailed(Exception):
    """A call failed. `argument`: the index of the faulty argument, if any."""

    def __init__(self, message: str, argument: int | None = None, *, code: str = "config.call", hint: str = "") -> None:
        super().__init__(message)
        self.argument = argument
        self.code = code
        self.hint = hint


_MOVED = frozenset({"any", "list", "object", "unified"})
"""Kinds of arguments whose items a function with `moves` gets with their marks."""


def _never(arguments: Sequence[Value]) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Function:
    """A function. `rest` is the kind of all arguments after `kinds`; the last `optional` of `kinds` can be omitted.
    `moves`: it passes items on without looking at them, so each keeps its own mark; otherwise, the whole result is
    sensitive if any part of an argument is. `reveals`: the result is never sensitive. `asks_vault`: whether a call
    would ask a key vault."""

    run: Callable[..., Any]
    kinds: tuple[Kind, ...] = ()
    optional: int = 0
    rest: Kind | None = None
    moves: bool = False
    reveals: bool = False
    asks_vault: Callable[[Sequence[Value]], bool] = _never

    def call(self, arguments: Sequence[Value]) -> Value:
        self._check_count(len(arguments))
        plain, marks = self._unmarked(arguments)
        converted = [_converted(i, value, self._kind(i)) for i, value in enumerate(plain)]
        result: Value = self.run(*converted)
        if self.reveals:
            return result
        if self.moves:
            return marked(result, *marks)  # type: ignore[no-any-return]
        return derived(result, joined(marks))

    def _unmarked(self, arguments: Sequence[Value]) -> tuple[list[Value], list[SensitiveMark | None]]:
        """Return what the function gets, and the marks of its result."""
        plain: list[Value] = []
        marks: list[SensitiveMark | None] = []
        for i, value in enumerate(arguments):
            if self.moves and self._kind(i) in _MOVED:
                inner, mark = opened(value)
            else:
                mark = mark_of(value)
                inner = revealed(value) if mark else value
            plain.append(inner)
            marks.append(mark)
        return plain, marks

    def _kind(self, index: int) -> Kind:
        return self.kinds[index] if index < len(self.kinds) else self.rest or "any"

    def _check_count(self, count: int) -> None:
        fewest, most = len(self.kinds) - self.optional, len(self.kinds)
        if count < fewest or (self.rest is None and count > most):
            wanted = f"{fewest} or more" if self.rest else str(most) if fewest == most else f"{fewest} to {most}"
            raise CallFailed(f"takes {wanted} {'argument' if wanted == '1' else 'arguments'}, not {count}")


Functions = Mapping[str, Function]


def _converted(index: int, value: Value, wanted: Kind) -> Value:
    try:
        match wanted:
            case "any":
                return value
            case "text":
                return to_text(value)
            case "number":
                return to_number(value)
            case "whole":
                return _whole(value)
            case "texts" if isinstance(value, list):
                return [None if item is None else to_text(item) for item in value]
            case "flags" if isinstance(value, list):
                return [None if item is None else to_bool(item) for item in value]
            case "unified" if isinstance(value, list):
                return unified(value)
            case "list" if isinstance(value, list):
                return value
            case "object" if isinstance(value, dict):
                return value
    except NotConvertible as error:
        found = f"a list with {error}" if isinstance(value, list) else str(error)
        raise CallFailed(f"argument {index + 1} must be {_NAMES[wanted]}, not {found}", index) from None
    except NotUnifiable as error:
        raise CallFailed(f"all elements of argument {index + 1} must have the same type, not {error}", index) from None
    raise CallFailed(f"argument {index + 1} must be {_NAMES[wanted]}, not {kind(value)}", index)


def _whole(value: Value) -> int:
    found = to_number(value)
    if isinstance(found, float):
        raise NotConvertible("a fraction")
    return found


_NAMES: dict[Kind, str] = {
    "text": "a string",
    "number": "a number",
    "whole": "a whole number",
    "list": "a list",
    "texts": "a list of strings",
    "flags": "a list of bools",
    "unified": "a list",
    "object": "an object",
    "any": "a value",
}

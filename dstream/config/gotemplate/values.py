"""The values of template functions, printed and compared as in Go, and unset environment variables."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dstream.config.hcl.source import Hole


class TemplateFailed(Exception):
    """A template cannot be evaluated."""

    def __init__(self, hole: Hole) -> None:
        super().__init__(hole.message)
        self.hole = hole


MAX_CHARACTERS = 16 * 1024 * 1024
"""Maximum length of a text, and of a rendered file."""
_INT64 = 2**63


def check_length(characters: int) -> None:
    """Raise TemplateFailed for a text that would fill memory."""
    if characters > MAX_CHARACTERS:
        raise failed(f"the text is longer than {MAX_CHARACTERS:,} characters")


def failed(message: str, hint: str = "") -> TemplateFailed:
    return TemplateFailed(Hole("config.template", message, hint))


class Unset(str):
    """The empty string in place of an unset environment variable. Printing it is an error that names the variable."""

    __slots__ = ("name",)
    name: str

    @classmethod
    def of(cls, name: str) -> Unset:
        unset = cls("")
        unset.name = name
        return unset

    @property
    def hole(self) -> Hole:
        hint = f'Set it, or give a default: {{{{ env "{self.name}" | default "x" }}}}'
        return Hole("config.env_unset", f"the environment variable {self.name} is not set", hint)


def is_empty(value: Any) -> bool:
    """Return whether it is a zero value in Go, which `if`, `default` and `coalesce` skip."""
    return value is None or value == "" or value == 0 or (isinstance(value, (list, dict)) and not value)


def printed(value: Any) -> str:
    """Format a value like fmt's %v."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    if isinstance(value, list):
        return "[" + " ".join(printed(item) for item in value) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{printed(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S %z %Z")
    return str(value)


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise failed(f"expected text, not {kind(value)}")
    return value


def whole(value: Any) -> int:
    """Convert text and fractions to whole numbers, like Sprig's `int`."""
    try:
        number = int(float(value)) if isinstance(value, str) and "." in value else int(value)
    except (TypeError, ValueError, OverflowError):
        raise failed(f"expected a whole number, not {kind(value)}") from None
    if not -_INT64 <= number < _INT64:
        raise failed("the number is too large")
    return number


def items(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise failed(f"expected a list, not {kind(value)}")
    return value


def mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise failed(f"expected a dict, not {kind(value)}")
    return value


def kind(value: Any) -> str:
    if value is None:
        return "nil"
    names: dict[type, str] = {bool: "a bool", int: "a number", float: "a number", list: "a list", dict: "a dict"}
    return next((name for cls, name in names.items() if isinstance(value, cls)), "text")

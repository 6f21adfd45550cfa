"""`required_version`: constraints such as ">= 0.1, < 1.0" or "~> 0.1"."""

from __future__ import annotations

import re

_CONSTRAINT = re.compile(r"\s*(>=|<=|!=|~>|=|>|<)?\s*v?(\d+(?:\.\d+){0,2})\s*\Z")
_NUMBERS = re.compile(r"\d+(?:\.\d+){0,2}")


def satisfies(version: str, constraints: str) -> bool | None:
    """Return whether the version satisfies all constraints; None if they cannot be parsed."""
    matches = [_CONSTRAINT.match(each) for each in constraints.split(",")]
    found = _NUMBERS.match(version)
    if found is None or any(match is None for match in matches):
        return None
    own = _padded(found[0])
    return all(_holds(own, match[1] or "=", match[2]) for match in matches if match)


def _holds(own: tuple[int, ...], operator: str, text: str) -> bool:
    wanted = _padded(text)
    match operator:
        case ">=":
            return own >= wanted
        case "<=":
            return own <= wanted
        case ">":
            return own > wanted
        case "<":
            return own < wanted
        case "!=":
            return own != wanted
        case "~>":  # only the last specified part may increase, as in Terraform
            fixed = max(text.count("."), 1)
            return own >= wanted and own[:fixed] == wanted[:fixed]
        case _:
            return own == wanted


def _padded(text: str) -> tuple[int, ...]:
    return tuple([*(int(part) for part in text.split(".")), 0, 0][:3])

"""A parser's complaint in words for people: what stands there, and what should."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dstream.config.hcl.problem import Problem

if TYPE_CHECKING:
    from lark.exceptions import UnexpectedInput

_FOUND = re.compile(r"[^\W]+|.", re.DOTALL)
_VALUE_BEGINS_WITH = {"LPAR", "INT_LITERAL", "LSQB"}


def explain(error: UnexpectedInput, text: str, skeleton: str, shift: int) -> Problem:
    at = error.pos_in_stream if error.pos_in_stream is not None else len(skeleton)
    expected = set(getattr(error, "expected", None) or getattr(error, "allowed", None) or ())
    found = _found(skeleton, at)
    line_start = skeleton.rfind("\n", 0, at) + 1
    if found == "}" and not skeleton[line_start:at].strip():
        # what is missing is missing at the end of the line before
        at, found = len(skeleton[:at].rstrip()), ""
    message, hint = _message(found, expected)
    return Problem("config.syntax", message, min(at + shift, len(text)), hint)


def _found(skeleton: str, at: int) -> str:
    match = _FOUND.match(skeleton, at)
    if match is None or not skeleton[at:].strip():
        return ""
    return match[0].strip()


def _message(found: str, expected: set[str]) -> tuple[str, str]:
    what = "a string" if found == '"' else f'"{found}"' if found else "the end of the line"
    if found == "," and "NAME" in expected and "LPAR" not in expected:
        return "attributes are separated by line breaks, not by commas", ""
    if found == '"' and "EQ" not in expected and "NAME" in expected and "LPAR" not in expected:
        return "the name of an attribute or block stands without quotes", ""
    if found == ":" and "EQ" in expected:
        return 'an attribute is written with "=", not with ":"', ""
    if expected >= {"EQ", "LBRACE"} and not expected & _VALUE_BEGINS_WITH:
        return f'{what} is not expected here; after a name comes "=" and a value, or "{{"', ""
    if expected >= _VALUE_BEGINS_WITH:
        return f"a value is expected here, not {what}", ""
    if "COMMA" in expected and "RSQB" in expected:
        return f'{what} is not expected here; the items of a list are separated by ","', ""
    if "COMMA" in expected and "RPAR" in expected:
        return f'{what} is not expected here; the arguments of a function are separated by ","', ""
    if "NAME" in expected:
        return f"{what} is not expected here; an attribute (name = value) or a block is", ""
    return f"{what} is not expected here", ""

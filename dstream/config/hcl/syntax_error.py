"""Turns a parse error into a message: what was found and what was expected."""

from __future__ import annotations

import re

from dstream.config.hcl.grammar import UnexpectedText
from dstream.config.hcl.problem import Problem

_FOUND = re.compile(r"[^\W]+|.", re.DOTALL)
_VALUE_BEGINS_WITH = {"LPAR", "INT_LITERAL", "LSQB"}


def explain(error: UnexpectedText, text: str, skeleton: str, shift: int) -> Problem:
    at, expected = error.at, error.expected
    found = _found(skeleton, at)
    line_start = skeleton.rfind("\n", 0, at) + 1
    if found == "}" and not skeleton[line_start:at].strip():
        # whatever is missing belongs at the end of the previous line
        at, found = len(skeleton[:at].rstrip()), ""
    message, hint = _message(found, expected)
    return Problem("config.syntax", message, min(at + shift, len(text)), hint)


def _found(skeleton: str, at: int) -> str:
    match = _FOUND.match(skeleton, at)
    if match is None or not skeleton[at:].strip():
        return ""
    return match[0].strip()


def _message(found: str, expected: frozenset[str]) -> tuple[str, str]:
    what = "a string" if found == '"' else f'"{found}"' if found else "the end of the line"
    if found == "," and "NAME" in expected and "LPAR" not in expected:
        return "separate attributes with line breaks, not commas", ""
    if found == '"' and "EQ" not in expected and "NAME" in expected and "LPAR" not in expected:
        return "write the name of an attribute or block without quotes", ""
    if found == ":" and "EQ" in expected:
        return 'use "=" for an attribute, not ":"', ""
    if expected >= {"EQ", "LBRACE"} and not expected & _VALUE_BEGINS_WITH:
        return f'{what} is unexpected; expected "=" and a value, or "{{"', ""
    if expected >= _VALUE_BEGINS_WITH:
        return f"expected a value, not {what}", ""
    if "COMMA" in expected and "RSQB" in expected:
        return f'{what} is unexpected; separate the items of a list with ","', ""
    if "COMMA" in expected and "RPAR" in expected:
        return f'{what} is unexpected; separate the arguments of a function with ","', ""
    if "NAME" in expected:
        return f"{what} is unexpected; expected an attribute (name = value) or a block", ""
    return f"{what} is unexpected", ""

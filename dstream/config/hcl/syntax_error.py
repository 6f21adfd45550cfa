"""The wording of syntax errors: what was found and what was expected."""

from __future__ import annotations

from dstream.config.hcl.problem import Problem
from dstream.config.hcl.scan import Token


def unexpected(token: Token, text: str, expected: str = "") -> Problem:
    """The token is unexpected. `expected`: what would fit, or what to do."""
    message = f"{_found(token, text)} is unexpected"
    return Problem("config.syntax", f"{message}; {expected}" if expected else message, token.at)


def no_value(token: Token, text: str) -> Problem:
    """There is no value where one must be."""
    return Problem("config.syntax", f"expected a value, not {_found(token, text)}", token.at)


def not_an_item(token: Token, text: str) -> Problem:
    """The token cannot start an attribute or block."""
    if token.kind == "string":
        return Problem("config.syntax", "write the name of an attribute or block without quotes", token.at)
    return unexpected(token, text, "expected an attribute (name = value) or a block")


def neither_attribute_nor_block(token: Token, text: str) -> Problem:
    """The token follows a name."""
    if token.kind == ":":
        return Problem("config.syntax", 'use "=" for an attribute, not ":"', token.at)
    return unexpected(token, text, 'expected "=" and a value, or "{"')


def not_at_line_end(token: Token, text: str) -> Problem:
    """The token follows an attribute or block on the same line."""
    if token.kind == ",":
        return Problem("config.syntax", "separate attributes with line breaks, not commas", token.at)
    if token.kind in ("name", "string"):
        return Problem("config.syntax", "each attribute and block must start on its own line", token.at)
    return unexpected(token, text)


def not_on_one_line(token: Token, text: str) -> Problem:
    """The token follows the first attribute of a block on one line."""
    if token.kind in ("name", "newline"):
        message = "a block on one line has one attribute and its closing brace; write longer blocks on several lines"
        return Problem("config.syntax", message, token.at)
    return not_at_line_end(token, text)


def _found(token: Token, text: str) -> str:
    if token.kind in ("newline", "end"):
        return "the end of the line"
    return "a string" if token.kind == "string" else f'"{text[token.at : token.end]}"'

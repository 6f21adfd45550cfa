"""Splits expressions of the SQL filter language into tokens (Microsoft, "Subscription Rule SQL Filter Syntax")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from dstream_sandbox.servicebus.filters.errors import FilterSyntaxError

__all__ = ["Token", "tokens"]

Kind = Literal["number", "string", "name", "quoted_name", "parameter", "operator", "end"]

_WORD = re.compile(
    r"""\s*(?:
        (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<string>N?'(?:[^']|'')*')
      | (?P<parameter>@[A-Za-z_]\w*)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<bracketed>\[(?:[^\]]|\]\])*\])
      | (?P<quoted>"(?:[^"]|"")*")
      | (?P<operator><>|!=|<=|>=|[=<>+\-*/%(),.;])
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str
    """The text; for names and strings, without quotes."""
    at: int

    def is_word(self, word: str) -> bool:
        return self.kind == "name" and self.text.upper() == word

    def is_operator(self, *texts: str) -> bool:
        return self.kind == "operator" and self.text in texts


def tokens(expression: str) -> list[Token]:
    """Return the tokens; the last one is the end. Raises FilterSyntaxError."""
    found: list[Token] = []
    position, size = 0, len(expression.rstrip())
    while position < size:
        match = _WORD.match(expression, position)
        if match is None or match.lastgroup is None:
            at = len(expression) - len(expression[position:].lstrip())
            raise FilterSyntaxError(
                f"There was an error parsing the SQL expression at position {at}: '{expression[at : at + 20]}'."
            )
        found.append(_token(match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup)))
        position = match.end()
    return [*found, Token("end", "", size)]


def _token(group: str, text: str, at: int) -> Token:
    if group == "string":
        return Token("string", text[text.index("'") + 1 : -1].replace("''", "'"), at)
    if group == "bracketed":
        return Token("quoted_name", text[1:-1].replace("]]", "]"), at)
    if group == "quoted":
        return Token("quoted_name", text[1:-1].replace('""', '"'), at)
    if group == "parameter":
        return Token("parameter", text, at)
    kinds: dict[str, Kind] = {"number": "number", "name": "name", "operator": "operator"}
    return Token(kinds[group], text, at)

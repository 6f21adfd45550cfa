"""Splits an HCL text into tokens, and checks that strings, heredocs, comments and brackets are closed.

A string or heredoc is one token; `template.py` reads its content. Whatever is left open is reported where it was
opened. HCL native syntax specification, "Lexical Elements".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from dstream.config.hcl.problem import Problem
from dstream.config.hcl.source import HOLE

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t]+|\r(?=\n))
    | (?P<newline>\n)
    | (?P<name>[^\W\d][\w-]*)
    | (?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    | (?P<quote>")
    | (?P<open>[(\[{])
    | (?P<close>[)\]}])
    | (?P<comment>\#|//|/\*)
    | (?P<heredoc><<(?P<flush>-?)(?P<word>[^\W\d][\w-]*)\r?\n)
    | (?P<operator>\.\.\.|=>|[=!<>]=|&&|\|\||::|[-+*/%!<>=?:.,])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
SPECIAL_IN_TEXT = re.compile(rf"\\|[$%]+\{{|{HOLE.pattern}")
"""What does not stand for itself in a template: an escape, the start of `${}` or `%{}` (or its escape), a hole."""
_SPECIAL_IN_STRING = re.compile(r'["\n\\]|[$%]+\{')
_CLOSES = {")": "(", "]": "[", "}": "{"}
_MAX_DEPTH = 80


class Token(NamedTuple):
    """`kind` is name, number, string, heredoc, newline, end or other; for brackets and operators, their text."""

    kind: str
    at: int
    end: int


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A heredoc with the offsets of its body (including the last line break); `flush`: `<<-`, without common indent."""

    start: int
    body_start: int
    body_end: int
    flush: bool


@dataclass(frozen=True, slots=True)
class Scan:
    """The tokens of text[start:end], of which the last has kind `end`; `heredocs` by start offset."""

    tokens: list[Token]
    heredocs: dict[int, Heredoc]


def scan(text: str, start: int, end: int) -> Scan:
    """Scan part of a text. Raises Problem."""
    scanner = _Scanner(text, start, end)
    scanner.run()
    return Scan(scanner.tokens, scanner.heredocs)


def end_of_sequence(text: str, start: int, end: int) -> int:
    """Return the offset of the `}` that closes the `${` or `%{` at `start`."""
    scanner = _Scanner(text, start + 2, end)
    message = f'this "{text[start : start + 2]}" is never closed with "}}"'
    try:
        close = scanner.run(until_closed=True)
    except Problem as problem:
        if problem.cause is None:
            raise
        # `"${a"`: the quote meant to close the string opens another one
        raise Problem("config.syntax", message, start, cause=problem.cause) from None
    if close is None:
        raise Problem("config.syntax", message, start)
    return close


class _Scanner:
    def __init__(self, text: str, start: int, end: int) -> None:
        self.text = text
        self.end = end
        self.tokens: list[Token] = []
        self.heredocs: dict[int, Heredoc] = {}
        self._at = start
        self._open: list[int] = []
        self._suspect: int | None = None
        """A `{` whose `}` has a different indent: the likely culprit if a `}` is missing."""

    def run(self, until_closed: bool = False) -> int | None:
        """Read to the end; with `until_closed`, to the first unopened `}`, whose offset is returned."""
        while match := _TOKEN.match(self.text, self._at, self.end):
            kind, at = match.lastgroup or "", self._at
            self._at = match.end()
            if kind in ("name", "number", "newline", "other"):
                self.tokens.append(Token(kind, at, self._at))
            elif kind == "operator":
                self.tokens.append(Token(match[0], at, self._at))
            elif kind == "quote":
                self._at = self._end_of_quoted(at)
                self.tokens.append(Token("string", at, self._at))
            elif kind == "open":
                self._open_bracket(match[0], at)
            elif kind == "close":
                if until_closed and match[0] == "}" and not self._open:
                    return at
                self._close_bracket(match[0], at)
            elif kind == "comment":
                self._at = self._end_of_comment(at)
            elif kind == "heredoc":
                self._heredoc(match)
        if self._open and not until_closed:
            opener = self._suspect if self._suspect is not None else self._open[-1]
            raise Problem("config.syntax", f'this "{self.text[opener]}" is never closed', opener)
        self.tokens.append(Token("end", self.end, self.end))
        return None

    def _open_bracket(self, char: str, at: int) -> None:
        if len(self._open) >= _MAX_DEPTH:
            raise Problem("config.syntax", f"nested deeper than {_MAX_DEPTH} brackets", at)
        self._open.append(at)
        self.tokens.append(Token(char, at, at + 1))

    def _close_bracket(self, char: str, at: int) -> None:
        if not self._open:
            raise Problem("config.syntax", f'unmatched "{char}"', at)
        opener = self._open[-1]
        if self.text[opener] != _CLOSES[char]:
            raise Problem("config.syntax", f'this "{self.text[opener]}" is not closed before the next "{char}"', opener)
        if char == "}" and self._suspect is None and self._indent(opener) != self._indent(at):
            self._suspect = opener
        self._open.pop()
        self.tokens.append(Token(char, at, at + 1))

    def _indent(self, at: int) -> int:
        """Return the width of the white space at the start of the line."""
        start = end = self.text.rfind("\n", 0, at) + 1
        while self.text[end] in " \t":
            end += 1
        return end - start

    def _end_of_comment(self, at: int) -> int:
        if not self.text.startswith("/*", at):
            newline = self.text.find("\n", at, self.end)
            return self.end if newline < 0 else newline
        close = self.text.find("*/", at + 2, self.end)
        if close < 0:
            raise Problem("config.syntax", 'this "/*" is never closed with "*/"', at)
        return close + 2

    def _heredoc(self, match: re.Match[str]) -> None:
        """Read up to the line with the heredoc's word, whose line break is a token of its own."""
        start, word = match.start(), match["word"]
        closing = re.compile(rf"^[ \t]*{re.escape(word)}(?=\r?$)", re.MULTILINE)
        close = closing.search(self.text, match.end(), self.end)
        if close is None:
            raise Problem("config.syntax", f'this heredoc is never closed: no line holds just "{word}"', start)
        self.heredocs[start] = Heredoc(start, match.end(), close.start(), match["flush"] == "-")
        self._at = close.end()
        self.tokens.append(Token("heredoc", start, self._at))

    def _end_of_quoted(self, start: int) -> int:
        at = start + 1
        while special := _SPECIAL_IN_STRING.search(self.text, at, self.end):
            found = special[0]
            if found == '"':
                return special.end()
            if found == "\n":
                message = "this string is not closed on its line"
                hint = "Use a heredoc (<<EOT) for several lines."
                raise Problem("config.syntax", message, start, hint, cause=special.start())
            if found == "\\":
                at = special.end() + 1
            elif found[-3:-1] in ("$$", "%%"):
                at = special.end()
            else:
                at = end_of_sequence(self.text, special.end() - 2, self.end) + 1
        raise Problem("config.syntax", "this string is never closed", start)

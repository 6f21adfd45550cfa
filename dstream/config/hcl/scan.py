"""Scans an HCL text for strings, heredocs, comments and brackets before it is parsed.

The grammar (python-hcl2) then parses a skeleton of equal length in which each string is one blank token, and comments
and line breaks inside parentheses are spaces. So strings can contain anything (`template.py` reads them from the text),
and whatever is left open is reported where it was opened. HCL native syntax specification, "Lexical Elements".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dstream.config.hcl.problem import Problem

_HEREDOC = re.compile(r"<<(-?)([A-Za-z_][\w.-]*)[ \t]*\n")
_WORD = re.compile(r"[^\W\d][\w-]*")
_FOR = re.compile(r"\s*for\b")
_CLOSES = {")": "(", "]": "[", "}": "{"}
_MAX_DEPTH = 80


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A heredoc with the offsets of its body (including the last line break); `flush`: `<<-`, without common indent."""

    start: int
    body_start: int
    body_end: int
    end: int
    flush: bool


@dataclass(frozen=True, slots=True)
class Scan:
    """The skeleton of text[start:end]; `comments` as (start, end); `heredocs` by start offset."""

    start: int
    skeleton: str
    comments: tuple[tuple[int, int], ...]
    heredocs: dict[int, Heredoc]

    def shows(self, start: int, end: int) -> bool:
        """Return whether any of text[start:end] is in the skeleton, which blanks strings and comments."""
        part = self.skeleton[max(0, start - self.start) : max(0, end - self.start)]
        return bool(part.strip('_" \n'))


def scan(text: str, start: int = 0, end: int | None = None, *, bracketed: bool = False) -> Scan:
    """Scan a file, or (`bracketed`) an expression whose line breaks are insignificant."""
    scanner = _Scanner(text, start, len(text) if end is None else end)
    scanner.run(bracketed)
    return Scan(start, "".join(scanner.skeleton), tuple(scanner.comments), scanner.heredocs)


def end_of_sequence(text: str, start: int, end: int) -> int:
    """Return the offset of the `}` that closes the `${` or `%{` at `start`."""
    scanner = _Scanner(text, start + 2, end)
    message = f'this "{text[start : start + 2]}" is never closed with "}}"'
    try:
        close = scanner.run(bracketed=True, until_closed=True)
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
        self.at = start
        self.end = end
        self.skeleton: list[str] = []
        self.comments: list[tuple[int, int]] = []
        self.heredocs: dict[int, Heredoc] = {}
        self.open: list[int] = []
        self.suspect: int | None = None
        """A `{` whose `}` has a different indent: the likely culprit if a `}` is missing."""

    def run(self, bracketed: bool, until_closed: bool = False) -> int | None:
        """Read to the end; with `until_closed`, to the first unopened `}`, whose offset is returned."""
        while self.at < self.end:
            char = self.text[self.at]
            if char == '"':
                self._blank(self._end_of_quoted(), '"')
            elif char == "#" or self.text.startswith(("//", "/*"), self.at):
                self._comment()
            elif char == "<" and (match := _HEREDOC.match(self.text, self.at, self.end)):
                self._heredoc(match)
            elif char in "([{":
                self._open()
            elif char in ")]}":
                if until_closed and char == "}" and not self.open:
                    return self.at
                self._close(char)
            elif char == "\n":
                self._keep(" " if self._line_breaks_mean_nothing(bracketed) else "\n")
            elif word := _WORD.match(self.text, self.at, self.end):
                self.skeleton.append(word[0])
                self.at = word.end()
            elif char == "-" and self._is_subtraction():
                # hcl2's lexer reads `10-23` as two numbers; the parser takes the operator from the text
                self._keep("+")
            else:
                self._keep(char)
        if self.open and not until_closed:
            opener = self.suspect if self.suspect is not None else self.open[-1]
            raise Problem("config.syntax", f'this "{self.text[opener]}" is never closed', opener)
        return None

    def _keep(self, char: str) -> None:
        self.skeleton.append(char)
        self.at += 1

    def _blank(self, end: int, quote: str = "") -> None:
        length = end - self.at
        self.skeleton.append('"' + "_" * (length - 2) + '"' if quote else " " * length)
        self.at = end

    def _line_breaks_mean_nothing(self, bracketed: bool) -> bool:
        if not self.open:
            return bracketed
        opener = self.open[-1]
        return self.text[opener] != "{" or _FOR.match(self.text, opener + 1) is not None

    def _is_subtraction(self) -> bool:
        before = "".join(self.skeleton[-40:]).rstrip(" \t")
        return before[-1:].isalnum() or before[-1:] in ("_", ")", "]", "}", '"')

    def _open(self) -> None:
        if len(self.open) >= _MAX_DEPTH:
            raise Problem("config.syntax", f"nested deeper than {_MAX_DEPTH} brackets", self.at)
        self.open.append(self.at)
        self._keep(self.text[self.at])

    def _close(self, char: str) -> None:
        if not self.open:
            raise Problem("config.syntax", f'unmatched "{char}"', self.at)
        opener = self.open[-1]
        if self.text[opener] != _CLOSES[char]:
            raise Problem("config.syntax", f'this "{self.text[opener]}" is not closed before the next "{char}"', opener)
        if char == "}" and self.suspect is None and self._indent(opener) != self._indent(self.at):
            self.suspect = opener
        self.open.pop()
        self._keep(char)

    def _indent(self, at: int) -> int:
        start = self.text.rfind("\n", 0, at) + 1
        return len(self.text) - len(self.text[start:].lstrip(" \t")) - start

    def _comment(self) -> None:
        if self.text.startswith("/*", self.at):
            close = self.text.find("*/", self.at + 2, self.end)
            if close < 0:
                raise Problem("config.syntax", 'this "/*" is never closed with "*/"', self.at)
            end = close + 2
        else:
            newline = self.text.find("\n", self.at, self.end)
            end = self.end if newline < 0 else newline
        self.comments.append((self.at, end))
        self._blank(end)

    def _heredoc(self, match: re.Match[str]) -> None:
        closing = re.compile(rf"^[ \t]*{re.escape(match[2])}[ \t]*$", re.MULTILINE)
        close = closing.search(self.text, match.end(), self.end)
        if close is None:
            raise Problem("config.syntax", f'this heredoc is never closed: no line holds just "{match[2]}"', self.at)
        self.heredocs[self.at] = Heredoc(self.at, match.end(), close.start(), close.end(), match[1] == "-")
        self._blank(close.end(), '"')

    def _end_of_quoted(self) -> int:
        at, limit = self.at + 1, self.end
        while at < limit:
            char = self.text[at]
            if char == '"':
                return at + 1
            if char == "\n":
                message = "this string is not closed on its line"
                raise Problem("config.syntax", message, self.at, "Use a heredoc (<<EOT) for several lines.", cause=at)
            if char == "\\":
                at += 2
            elif self.text.startswith(("$${", "%%{"), at):
                at += 3
            elif self.text.startswith(("${", "%{"), at):
                at = end_of_sequence(self.text, at, limit) + 1
            else:
                at += 1
        raise Problem("config.syntax", "this string is never closed", self.at)

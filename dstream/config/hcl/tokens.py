"""A cursor over the tokens of one part of a text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dstream.config.hcl.scan import Scan, Token


class Tokens:
    """Reads tokens one by one. Line breaks are skipped inside parentheses, brackets and templates (`line_breaks`)."""

    def __init__(self, text: str, scanned: Scan, *, line_breaks: bool) -> None:
        self.text = text
        self.scanned = scanned
        self._position = 0
        self._line_breaks = line_breaks

    def peek(self) -> Token:
        """Return the next token. At the end, this is the token `end` again and again."""
        tokens = self.scanned.tokens
        if not self._line_breaks:
            while tokens[self._position].kind == "newline":
                self._position += 1
        return tokens[self._position]

    def read(self) -> Token:
        token = self.peek()
        if token.kind != "end":
            self._position += 1
        return token

    def take(self, *kinds: str) -> Token | None:
        """Read the next token if it is of one of these kinds."""
        return self.read() if self.peek().kind in kinds else None

    def is_word(self, word: str) -> bool:
        token = self.peek()
        return token.kind == "name" and self.text_of(token) == word

    def take_word(self, word: str) -> bool:
        if self.is_word(word):
            self.read()
            return True
        return False

    def text_of(self, token: Token) -> str:
        return self.text[token.at : token.end]

    @contextmanager
    def line_breaks(self, are_kept: bool) -> Iterator[None]:
        """Keep or skip line breaks. An error ends the parsing, so nothing is restored then."""
        before, self._line_breaks = self._line_breaks, are_kept
        yield
        self._line_breaks = before

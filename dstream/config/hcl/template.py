"""Parses strings and heredocs: escapes, `${}` and `%{}`. HCL native syntax specification, "Templates"."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal as OneOf

from dstream.config.hcl.problem import Problem
from dstream.config.hcl.scan import Heredoc, end_of_sequence
from dstream.config.hcl.source import HOLE, Hole
from dstream.config.hcl.syntax import Expression, ForDirective, IfDirective, Literal, Missing, TemplateExpression

ParseExpression = Callable[[int, int], Expression]
"""Parses text[start:end] as one expression."""

_ESCAPE = re.compile(r'\\(?:([nrt"\\])|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))')
_SIMPLE_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_DIRECTIVE = re.compile(r"\s*(if|else|endif|for|endfor)\b\s*")
_FOR = re.compile(r"([^\W\d][\w-]*)\s*(?:,\s*([^\W\d][\w-]*)\s*)?\bin\b")


@dataclass(frozen=True, slots=True)
class _Text:
    at: int
    text: str


@dataclass(frozen=True, slots=True)
class _Sequence:
    """A `${}` or `%{}`; `trims`: whether `~` trims the white space before and after it."""

    at: int
    kind: OneOf["value", "if", "else", "endif", "for", "endfor"]
    trims: tuple[bool, bool]
    expression: Expression | None = None
    key: str | None = None
    value: str = ""


_Piece = _Text | _Sequence


class TemplateReader:
    """Parses the strings of one source."""

    def __init__(self, text: str, holes: Sequence[Hole], parse: ParseExpression) -> None:
        self._text = text
        self._holes = holes
        self._parse = parse

    def quoted(self, start: int, end: int) -> Expression:
        """Parse the string whose quotes are at `start` and `end` - 1. A lone `"${x}"` is x itself, of any type."""
        pieces = self._pieces(start + 1, end - 1, quoted=True)
        if len(pieces) == 1 and isinstance(pieces[0], _Sequence) and pieces[0].expression and pieces[0].kind == "value":
            return pieces[0].expression
        return self._assemble(start, pieces)

    def heredoc(self, heredoc: Heredoc) -> Expression:
        pieces = self._pieces(heredoc.body_start, heredoc.body_end, quoted=False)
        return self._assemble(heredoc.start, self._without_indent(pieces) if heredoc.flush else pieces)

    def _pieces(self, start: int, end: int, *, quoted: bool) -> list[_Piece]:
        pieces: list[_Piece] = []
        text: list[str] = []
        run_start = at = start

        def flush() -> None:
            if text:
                pieces.append(_Text(run_start, "".join(text)))
                text.clear()

        while at < end:
            if self._text.startswith(("$${", "%%{"), at):
                text.append(self._text[at + 1 : at + 3])
                at += 3
            elif self._text.startswith(("${", "%{"), at):
                flush()
                close = end_of_sequence(self._text, at, end)
                pieces.append(self._sequence(at, close))
                at = run_start = close + 1
            elif quoted and self._text[at] == "\\":
                char, at = self._escape(at)
                text.append(char)
            elif self._text[at] == "_" and (match := HOLE.match(self._text, at, end)):
                flush()
                pieces.append(_Sequence(at, "value", (False, False), Missing(at, self._holes[int(match[1])])))
                at = run_start = match.end()
            else:
                text.append(self._text[at])
                at += 1
        flush()
        return _trimmed(pieces)

    def _escape(self, at: int) -> tuple[str, int]:
        match = _ESCAPE.match(self._text, at)
        if match is None:
            wrong = self._text[at : at + 2]
            hint = "Write a backslash as \\\\."
            raise Problem("config.syntax", f'invalid escape "{wrong}" in a string', at, hint)
        if match[1]:
            return _SIMPLE_ESCAPES[match[1]], match.end()
        code = int(match[2] or match[3], 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise Problem("config.syntax", f'"{match[0]}" is not a Unicode character', at)
        return chr(code), match.end()

    def _sequence(self, at: int, close: int) -> _Sequence:
        """Parse the sequence that opens at `at` and closes at `close`."""
        start, end = at + 2, close
        trims = (self._text.startswith("~", start, end), self._text[start:end].endswith("~"))
        start, end = start + trims[0], max(end - trims[1], start + trims[0])
        if self._text[at] == "$":
            return _Sequence(at, "value", trims, self._parse(start, end))
        match = _DIRECTIVE.match(self._text, start, end)
        if match is None:
            raise Problem("config.syntax", 'expected if, else, endif, for or endfor after "%{"', at)
        keyword, start = match[1], match.end()
        if keyword == "if":
            return _Sequence(at, "if", trims, self._parse(start, end))
        if keyword == "for":
            names = _FOR.match(self._text, start, end)
            if names is None:
                raise Problem("config.syntax", "use the form %{ for NAME in LIST }", at)
            key, value = (names[1], names[2]) if names[2] else (None, names[1])
            return _Sequence(at, "for", trims, self._parse(names.end(), end), key, value)
        if self._text[start:end].strip():
            raise Problem("config.syntax", f"unexpected text after {keyword}", start)
        return _Sequence(at, keyword, trims)  # type: ignore[arg-type]  # one of the words that _DIRECTIVE matches

    def _assemble(self, at: int, pieces: list[_Piece]) -> Expression:
        if not pieces:
            return Literal(at, "")
        if len(pieces) == 1 and isinstance(pieces[0], _Text):
            return Literal(at, pieces[0].text)
        parts, rest = _parts(pieces, 0)
        if rest < len(pieces):
            stray = pieces[rest]
            assert isinstance(stray, _Sequence)
            raise Problem("config.syntax", f'unmatched "{stray.kind}"', stray.at)
        return TemplateExpression(at, parts)

    def _without_indent(self, pieces: list[_Piece]) -> list[_Piece]:
        """Remove the common indent of all non-blank lines."""
        line_start = re.compile(r"^([ \t]*)(?=[^ \t\n]|\Z)", re.MULTILINE)
        texts = [piece for piece in pieces if isinstance(piece, _Text)]
        indents = [
            len(match[1])
            for piece in texts
            for match in line_start.finditer(piece.text)
            if self._starts_line(piece, match.start()) and (match.end() < len(piece.text) or piece is not pieces[-1])
        ]
        starts_with_value = bool(pieces) and isinstance(pieces[0], _Sequence)
        cut = 0 if starts_with_value else min(indents, default=0)
        indent = re.compile(rf"^[ \t]{{1,{cut}}}", re.MULTILINE) if cut else None
        if indent is None:
            return pieces

        def outdented(piece: _Piece) -> _Piece:
            if isinstance(piece, _Sequence):
                return piece
            return replace(
                piece, text=indent.sub(lambda m: "" if self._starts_line(piece, m.start()) else m[0], piece.text)
            )

        return [outdented(piece) for piece in pieces]

    def _starts_line(self, piece: _Text, offset: int) -> bool:
        return offset > 0 or self._text[piece.at - 1] == "\n"


def _trimmed(pieces: list[_Piece]) -> list[_Piece]:
    for i, piece in enumerate(pieces):
        if not isinstance(piece, _Sequence):
            continue
        before, after = pieces[i - 1] if i else None, pieces[i + 1] if i + 1 < len(pieces) else None
        if piece.trims[0] and isinstance(before, _Text):
            pieces[i - 1] = replace(before, text=before.text.rstrip())
        if piece.trims[1] and isinstance(after, _Text):
            pieces[i + 1] = replace(after, text=after.text.lstrip())
    return pieces


def _parts(pieces: list[_Piece], start: int) -> tuple[tuple[Expression, ...], int]:
    """Return the parts from `start` up to a closing directive, and the directive's index."""
    parts: list[Expression] = []
    at = start
    while at < len(pieces):
        piece = pieces[at]
        if isinstance(piece, _Text):
            parts.append(Literal(piece.at, piece.text))
        elif piece.kind == "value" and piece.expression:
            parts.append(piece.expression)
        elif piece.kind == "if" and piece.expression:
            then, at = _parts(pieces, at + 1)
            otherwise: tuple[Expression, ...] = ()
            if _kind(pieces, at) == "else":
                otherwise, at = _parts(pieces, at + 1)
            _expect(pieces, at, "endif", piece)
            parts.append(IfDirective(piece.at, piece.expression, then, otherwise))
        elif piece.kind == "for" and piece.expression:
            body, at = _parts(pieces, at + 1)
            _expect(pieces, at, "endfor", piece)
            parts.append(ForDirective(piece.at, piece.key, piece.value, piece.expression, body))
        else:
            break
        at += 1
    return tuple(parts), at


def _kind(pieces: list[_Piece], at: int) -> str:
    piece = pieces[at] if at < len(pieces) else None
    return piece.kind if isinstance(piece, _Sequence) else ""


def _expect(pieces: list[_Piece], at: int, kind: str, opener: _Sequence) -> None:
    if _kind(pieces, at) != kind:
        raise Problem("config.syntax", f'this "%{{ {opener.kind} }}" is never closed with "%{{ {kind} }}"', opener.at)

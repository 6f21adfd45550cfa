"""Parses strings and heredocs: escapes, `${}` and `%{}`. HCL native syntax specification, "Templates"."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal as OneOf

from dstream.config.hcl.problem import Problem
from dstream.config.hcl.scan import SPECIAL_IN_TEXT, Heredoc, end_of_sequence
from dstream.config.hcl.source import Hole
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
        """Parse the string whose quotes are at `start` and `end` - 1."""
        return self._template(start, _trimmed(self._pieces(start + 1, end - 1, quoted=True)))

    def heredoc(self, heredoc: Heredoc) -> Expression:
        """Parse a heredoc. Each line is a piece, so `~` trims at most up to the line break."""
        pieces = _trimmed(_lines(self._pieces(heredoc.body_start, heredoc.body_end, quoted=False)))
        return self._assemble(heredoc.start, _joined(_without_indent(pieces) if heredoc.flush else pieces))

    def whole(self) -> Expression:
        """Parse the whole text as a template."""
        pieces = _trimmed(_lines(self._pieces(0, len(self._text), quoted=False)))
        return self._template(0, _joined(pieces))

    def _template(self, at: int, pieces: list[_Piece]) -> Expression:
        """A lone `"${x}"` is x itself, of any type."""
        if len(pieces) == 1 and isinstance(pieces[0], _Sequence) and pieces[0].expression and pieces[0].kind == "value":
            return pieces[0].expression
        return self._assemble(at, pieces)

    def _pieces(self, start: int, end: int, *, quoted: bool) -> list[_Piece]:
        pieces: list[_Piece] = []
        texts: list[str] = []
        run_start = at = start

        def flush() -> None:
            if texts and (text := "".join(texts)):
                pieces.append(_Text(run_start, text))
            texts.clear()

        while special := SPECIAL_IN_TEXT.search(self._text, at, end):
            texts.append(self._text[at : special.start()])
            found, at = special[0], special.end()
            if found == "\\":
                char, at = self._escape(at - 1) if quoted else (found, at)
                texts.append(char)
            elif found[0] == "_":
                flush()
                pieces.append(
                    _Sequence(special.start(), "value", (False, False), self._missing(special.start(), special[1]))
                )
                run_start = at
            elif found[-3:-1] in ("$$", "%%"):
                texts.append(found[:-3] + found[-2:])
            else:
                texts.append(found[:-2])
                flush()
                close = end_of_sequence(self._text, at - 2, end)
                pieces.append(self._sequence(at - 2, close))
                at = run_start = close + 1
        texts.append(self._text[at:end])
        flush()
        return pieces

    def _missing(self, at: int, number: str) -> Missing:
        return Missing(at, self._holes[int(number)])

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


def _lines(pieces: list[_Piece]) -> list[_Piece]:
    """Cut the text after each line break."""
    lines: list[_Piece] = []
    for piece in pieces:
        if isinstance(piece, _Text):
            lines += [_Text(piece.at, line + "\n") for line in piece.text.split("\n")]
            last = lines.pop()
            assert isinstance(last, _Text)
            lines += [replace(last, text=last.text[:-1])] if last.text != "\n" else []
        else:
            lines.append(piece)
    return lines


def _joined(pieces: list[_Piece]) -> list[_Piece]:
    """Join the text between two sequences."""
    joined: list[_Piece] = []
    for is_text, group in groupby(pieces, key=lambda piece: isinstance(piece, _Text)):
        run = list(group)
        if not is_text:
            joined += run
        elif text := "".join(piece.text for piece in run if isinstance(piece, _Text)):
            joined.append(_Text(run[0].at, text))
    return joined


def _without_indent(pieces: list[_Piece]) -> list[_Piece]:
    """Remove the common indent of all lines that are not blank. A line whose start a `~` has trimmed keeps its own."""
    indents: dict[int, int] = {}
    starts_line = True
    for index, piece in enumerate(pieces):
        text = piece.text if isinstance(piece, _Text) else None
        if starts_line and (text is None or text.strip() or not text.endswith("\n")):
            indents[index] = 0 if text is None else len(text) - len(text.lstrip())
        starts_line = text is not None and text.endswith("\n")
    cut = min(indents.values(), default=0)
    return [
        replace(piece, text=piece.text[cut:]) if index in indents and isinstance(piece, _Text) else piece
        for index, piece in enumerate(pieces)
    ]


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

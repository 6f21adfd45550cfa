"""Splits template text into actions and the text between them, and actions into words."""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORD = re.compile(
    r"""\s*(?:
      (?P<comment>/\*.*?\*/)
    | (?P<string>"(?:[^"\\\n]|\\.)*")
    | (?P<raw>`[^`]*`)
    | (?P<char>'(?:[^'\\\n]|\\.)')
    | (?P<number>[-+]?(?:0[xX][0-9a-fA-F_]+|\d[\d_]*(?:\.\d+)?(?:[eE][-+]?\d+)?))
    | (?P<variable>\$\w*)
    | (?P<fields>(?:\.[^\W\d]\w*)+)
    | (?P<dot>\.)
    | (?P<name>[^\W\d]\w*)
    | (?P<declare>:=)
    | (?P<sign>[|(),=])
    | (?P<end>[ \t\r\n]-}}|}})
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_SIMPLE_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class TemplateSyntaxError(Exception):
    """An action is invalid; the message says why in one sentence."""


@dataclass(frozen=True, slots=True)
class Word:
    """A token; for strings, `text` is the unescaped content."""

    kind: str
    text: str
    spaced: bool = True
    """Whether white space or an opening parenthesis precedes it, so that `.x` starts a new operand."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text (`words` is None) or an action; `error`: why the action cannot be parsed."""

    at: int
    text: str
    words: tuple[Word, ...] | None = None
    error: str = ""


def pieces(text: str) -> list[Piece]:
    """Return the pieces of a file in order, with `{{-` and `-}}` already applied to the surrounding text."""
    found: list[Piece] = []
    at, trim_next = 0, False
    while True:
        opening = text.find("{{", at)
        end = len(text) if opening < 0 else opening
        trims_before = text.startswith("{{-", end) and text[end + 3 : end + 4].isspace()
        literal = text[at:end]
        start = at + (len(literal) - len(literal.lstrip()) if trim_next else 0)
        literal = literal.lstrip() if trim_next else literal
        literal = literal.rstrip() if trims_before else literal
        if literal:
            found.append(Piece(start, literal))
        if opening < 0:
            return found
        piece, at, trim_next = _action(text, opening, opening + (3 if trims_before else 2))
        found.append(piece)


def _action(text: str, opening: int, at: int) -> tuple[Piece, int, bool]:
    """Return the action that opens at `opening`, the offset after it, and whether to trim the text that follows."""
    words: list[Word] = []
    while match := _WORD.match(text, at):
        spaced = match.start() != match.start(match.lastgroup or 0) or text[at - 1] in "({|-"
        at = match.end()
        kind = match.lastgroup or ""
        if kind == "end":
            return Piece(opening, text[opening:at], tuple(words)), at, len(match["end"]) > 2
        if kind != "comment":
            words.append(Word(_kind(kind), _meaning(kind, match[kind]), spaced))
    close, line_end = text.find("}}", at), text.find("\n", opening)
    line_end = len(text) if line_end < 0 else line_end
    if close < 0 or line_end < close:
        return (
            Piece(opening, text[opening:line_end], (), 'this "{{" is not closed with "}}" on its line'),
            line_end,
            False,
        )
    wrong = text[at:close].strip()[:1]
    return Piece(opening, text[opening : close + 2], (), f'unexpected "{wrong}" in a template'), close + 2, False


def _kind(kind: str) -> str:
    return "string" if kind == "raw" else "number" if kind == "char" else kind


def _meaning(kind: str, text: str) -> str:
    if kind == "string":
        return _ESCAPE.sub(_unescaped, text[1:-1])
    if kind == "raw":
        return text[1:-1]
    if kind == "char":
        return str(ord(_ESCAPE.sub(_unescaped, text[1:-1])))
    return text


def _unescaped(match: re.Match[str]) -> str:
    digits = match[1] or match[2] or match[3]
    if digits:
        return chr(min(int(digits, 16), 0x10FFFF))
    return _SIMPLE_ESCAPES.get(match[4], match[4])

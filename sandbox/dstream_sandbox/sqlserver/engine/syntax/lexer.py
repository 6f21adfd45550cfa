"""Splits T-SQL text into tokens. Quoted identifiers never equal a keyword; every token has its line, for errors."""

from __future__ import annotations

import re
from typing import NamedTuple

from dstream_sandbox.sqlserver.session import SqlError

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*)
  | (?P<comment>/\*)
  | (?P<nstr>[Nn]'(?:[^']|'')*')
  | (?P<str>'(?:[^']|'')*')
  | (?P<bracket>\[(?:[^\]]|\]\])*\])
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<bin>0[xX][0-9a-fA-F]*)
  | (?P<float>(?:\d+\.?\d*|\.\d+)[eE][+-]?\d+)
  | (?P<dec>\d+\.\d*|\.\d+)
  | (?P<int>\d+)
  | (?P<var>@@?[\w@\#$]+)
  | (?P<money>\$[+-]?\d+(?:\.\d*)?)
  | (?P<id>(?:[^\W\d]|\#|\$)[\w@\#$]*)
  | (?P<op><>|!=|<=|>=|!<|!>|\+=|-=|\*=|/=|%=|&=|\|=|\^=|::|[-+*/%&|^~=<>(),.;:?{}])
    """,
    re.VERBOSE,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


class Token(NamedTuple):
    """`word` is what the parser compares: upper case for bare identifiers, the text for operators, otherwise ''."""

    kind: str
    text: str
    word: str
    start: int
    end: int
    line: int


def tokenize(sql: str) -> list[Token]:
    """Return all tokens and a final one of kind `end`. Raises 105 (unclosed string) and 102 (other invalid text)."""
    tokens: list[Token] = []
    position, line, size = 0, 1, len(sql)
    while position < size:
        match = _TOKEN.match(sql, position)
        if match is None:
            raise _unreadable(sql, position)
        kind, end = match.lastgroup or "", match.end()
        if kind == "comment":
            end = _comment_end(sql, end)
        elif kind != "space":
            tokens.append(_token(kind, match.group(), position, end, line))
        line += sql.count("\n", position, end)
        position = end
    tokens.append(Token("end", "", "", size, size, line))
    return tokens


def _token(kind: str, text: str, start: int, end: int, line: int) -> Token:
    if kind == "id":
        return Token("id", text, text.upper(), start, end, line)
    if kind == "bracket":
        return Token("qid", text[1:-1].replace("]]", "]"), "", start, end, line)
    if kind == "quoted":
        return Token("qid", text[1:-1].replace('""', '"'), "", start, end, line)
    if kind == "str":
        return Token("str", text[1:-1].replace("''", "'"), "", start, end, line)
    if kind == "nstr":
        return Token("nstr", text[2:-1].replace("''", "'"), "", start, end, line)
    return Token(kind, text, text if kind == "op" else "", start, end, line)


def _comment_end(sql: str, position: int) -> int:
    """Return where a block comment ends; they nest in T-SQL."""
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(sql, position)
        if edge is None:
            raise SqlError(113, "Missing end comment mark '*/'.", severity=15)
        depth += 1 if edge.group() == "/*" else -1
        position = edge.end()
    return position


def _unreadable(sql: str, position: int) -> SqlError:
    rest = sql[position : position + 40]
    if rest[0] in "'[\"" or rest[:2] in ("N'", "n'"):
        return SqlError(
            105, f"Unclosed quotation mark after the character string '{rest.lstrip('Nn')[1:]}'.", severity=15
        )
    return SqlError(102, f"Incorrect syntax near '{rest[0]}'.", severity=15)

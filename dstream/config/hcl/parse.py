"""Parses HCL text into our syntax tree. HCL native syntax specification, "Structural Elements"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from dstream.config.hcl.expressions import ExpressionParser, ReadWithin, missing_value
from dstream.config.hcl.problem import Problem
from dstream.config.hcl.scan import Token, scan
from dstream.config.hcl.source import HOLE, Hole, SourceFile
from dstream.config.hcl.syntax import Attribute, Block, Body, Expression, Label, Literal, Missing
from dstream.config.hcl.syntax_error import (
    neither_attribute_nor_block,
    not_an_item,
    not_at_line_end,
    not_on_one_line,
    unexpected,
)
from dstream.config.hcl.template import TemplateReader
from dstream.config.hcl.tokens import Tokens

_T = TypeVar("_T")


def parse(source: SourceFile) -> Body:
    """The body of a file. Raises Problem for the first syntax error."""
    return _Parser(source.text, source.holes, source.read_within).file()


def parse_expression(text: str) -> Expression:
    """The expression of a text outside a file. Raises Problem."""
    return _Parser(text).expression(0, len(text))


def parse_template(text: str) -> Expression:
    """The template that a text outside a file consists of. Raises Problem."""
    return _Parser(text).templates.whole()


class _Parser:
    """Parses parts of one text. `holes`: its templates without a value."""

    def __init__(self, text: str, holes: Sequence[Hole] = (), read_within: ReadWithin = lambda *_: ()) -> None:
        self._text = text
        self._holes = holes
        self._read_within = read_within
        self.templates = TemplateReader(text, holes, self.expression)

    def file(self) -> Body:
        tokens = Tokens(self._text, scan(self._text, 0, len(self._text)), line_breaks=True)
        expressions = ExpressionParser(tokens, self._holes, self.templates, self._read_within)
        return self._explained(tokens, lambda: _BodyParser(tokens, expressions).items("end"))

    def expression(self, start: int, end: int) -> Expression:
        """One expression, as between the braces of `${}`, where line breaks are insignificant."""
        tokens = Tokens(self._text, scan(self._text, start, end), line_breaks=False)
        if tokens.peek().kind == "end":
            raise Problem("config.syntax", "expected an expression", start)
        return self._explained(tokens, lambda: self._only_expression(tokens))

    def _only_expression(self, tokens: Tokens) -> Expression:
        found = ExpressionParser(tokens, self._holes, self.templates, self._read_within).expression()
        if tokens.peek().kind != "end":
            raise unexpected(tokens.peek(), self._text)
        return found

    def _explained(self, tokens: Tokens, run: Callable[[], _T]) -> _T:
        try:
            return run()
        except Problem as problem:
            raise (self._hole_before(problem, tokens) if problem.code == "config.syntax" else None) or problem from None

    def _hole_before(self, problem: Problem, tokens: Tokens) -> Problem | None:
        """A template without a value, on this line or the previous one, explains a syntax error better."""
        this_line = self._text.rfind("\n", 0, problem.at) + 1
        last_line = self._text.rfind("\n", 0, max(this_line - 1, 0)) + 1
        line_end = self._text.find("\n", problem.at)
        for token in tokens.scanned.tokens if self._holes else ():
            if token.kind == "name" and last_line <= token.at and (line_end < 0 or token.at < line_end):
                match = HOLE.search(self._text, token.at, token.end)
                if match:
                    return missing_value(self._holes[int(match[1])], match.start())
        return None


class _BodyParser:
    """Reads attributes and blocks."""

    def __init__(self, tokens: Tokens, expressions: ExpressionParser) -> None:
        self._tokens = tokens
        self._expressions = expressions

    def items(self, closer: str) -> Body:
        """Read up to the token that closes the body, each item on its own line."""
        attributes: list[Attribute] = []
        blocks: list[Block] = []
        while True:
            while self._tokens.take("newline"):
                pass
            token = self._tokens.read()
            if token.kind == closer:
                return Body(tuple(attributes), tuple(blocks))
            name = self._item_name(token)
            if self._tokens.take("="):
                attributes.append(Attribute(token.at, name, self._expressions.expression()))
            else:
                blocks.append(self._block(token, name))
            if self._tokens.peek().kind not in ("newline", "end"):
                raise not_at_line_end(self._tokens.peek(), self._tokens.text)

    def _item_name(self, token: Token) -> str:
        if token.kind != "name":
            raise not_an_item(token, self._tokens.text)
        return self._expressions.word(token)

    def _block(self, first: Token, name: str) -> Block:
        if self._tokens.peek().kind not in ("{", "string", "name"):
            raise neither_attribute_nor_block(self._tokens.peek(), self._tokens.text)
        labels: list[Label] = []
        while label := self._tokens.take("string", "name"):
            labels.append(self._label(label))
        if not self._tokens.take("{"):
            raise neither_attribute_nor_block(self._tokens.peek(), self._tokens.text)
        body = self.items("}") if self._tokens.peek().kind in ("newline", "}") else self._one_line()
        return Block(first.at, name, tuple(labels), body)

    def _one_line(self) -> Body:
        """`{ name = value }`: only one attribute."""
        token = self._tokens.read()
        name = self._item_name(token)
        if not self._tokens.take("="):
            raise neither_attribute_nor_block(self._tokens.peek(), self._tokens.text)
        attribute = Attribute(token.at, name, self._expressions.expression())
        if not self._tokens.take("}"):
            raise not_on_one_line(self._tokens.peek(), self._tokens.text)
        return Body((attribute,), ())

    def _label(self, token: Token) -> Label:
        if token.kind == "name":
            return Label(token.at, self._expressions.word(token))
        text = self._expressions.string(token)
        if isinstance(text, Missing):
            raise missing_value(text.hole, text.at)
        if not isinstance(text, Literal) or not isinstance(text.value, str):
            raise Problem("config.syntax", "a label must be plain text, without ${}", token.at)
        return Label(token.at, text.value)

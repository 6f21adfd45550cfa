"""Parses expressions. HCL native syntax specification, "Expressions"; like HashiCorp's parser where that is vague."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation

from dstream.config.hcl.problem import Problem
from dstream.config.hcl.scan import Token
from dstream.config.hcl.source import HOLE, Hole
from dstream.config.hcl.syntax import (
    Binary,
    Call,
    Conditional,
    Element,
    Expression,
    ForEach,
    GetAttribute,
    GetIndex,
    Literal,
    Missing,
    Name,
    ObjectOf,
    Rendered,
    Splat,
    TupleOf,
    Unary,
)
from dstream.config.hcl.syntax_error import no_value, unexpected
from dstream.config.hcl.template import TemplateReader
from dstream.config.hcl.tokens import Tokens

ReadWithin = Callable[[int, int], tuple[str, ...]]
"""Returns what templates have computed from the environment between two offsets."""
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_LEVELS = ("||", "&&", "== !=", "< <= > >=", "+ -", "* / %")
"""Binary operators, from lowest to highest precedence."""
_PRECEDENCE = {operator: level for level, operators in enumerate(_LEVELS) for operator in operators.split()}
_MOST_DIGITS = 400


class ExpressionParser:
    """Reads expressions from tokens. Raises Problem."""

    def __init__(
        self, tokens: Tokens, holes: Sequence[Hole], templates: TemplateReader, read_within: ReadWithin
    ) -> None:
        self._tokens = tokens
        self._holes = holes
        self._templates = templates
        self._read_within = read_within

    def expression(self) -> Expression:
        start = self._tokens.peek().at
        condition = self._binary(0)
        if not self._tokens.take("?"):
            return condition
        then = self.expression()
        self._expect(":")
        return Conditional(start, condition, then, self.expression())

    def string(self, token: Token) -> Expression:
        """The content of a string or heredoc token."""
        if token.kind == "heredoc":
            return self._templates.heredoc(self._tokens.scanned.heredocs[token.at])
        return self._templates.quoted(token.at, token.end)

    def word(self, token: Token) -> str:
        """A name that must be known now, so a template without a value is an error here."""
        word = self._tokens.text_of(token)
        if match := HOLE.search(word):
            raise missing_value(self._holes[int(match[1])], token.at + match.start())
        return word

    def _binary(self, lowest: int) -> Expression:
        left = self._unary()
        while (level := _PRECEDENCE.get(self._tokens.peek().kind, -1)) >= lowest:
            operator = self._tokens.read()
            left = Binary(operator.at, operator.kind, left, self._binary(level + 1))
        return left

    def _unary(self) -> Expression:
        operators: list[Token] = []
        while operator := self._tokens.take("-", "!"):
            operators.append(operator)
        operand = self._steps(self._term())
        for operator in reversed(operators):
            operand = _negative(operator, operand) or Unary(operator.at, operator.kind, operand)
        return operand

    def _term(self) -> Expression:
        token = self._tokens.read()
        match token.kind:
            case "number":
                return self._rendered(token, Literal(token.at, _number(self._tokens.text_of(token), token.at)))
            case "string" | "heredoc":
                return self._rendered(token, self.string(token))
            case "name":
                return self._name(token)
            case "(":
                with self._tokens.line_breaks(False):
                    inner = self.expression()
                    self._expect(")")
                return inner
            case "[":
                with self._tokens.line_breaks(False):
                    return self._for(token, "]") if self._tokens.is_word("for") else self._tuple(token)
            case "{":
                with self._tokens.line_breaks(False):
                    if self._tokens.is_word("for"):
                        return self._for(token, "}")
                with self._tokens.line_breaks(True):
                    return self._object(token)
        raise no_value(token, self._tokens.text)

    def _rendered(self, token: Token, value: Expression) -> Expression:
        texts = self._read_within(token.at, token.end)
        return Rendered(token.at, value, texts) if texts else value

    def _name(self, token: Token) -> Expression:
        if self._tokens.peek().kind in ("(", "::"):
            return self._call(token)
        name = self._tokens.text_of(token)
        if name in _WORDS:
            return self._rendered(token, Literal(token.at, _WORDS[name]))
        match = HOLE.search(name)
        return Missing(token.at + match.start(), self._holes[int(match[1])]) if match else Name(token.at, name)

    def _call(self, token: Token) -> Expression:
        names = [self.word(token)]
        while self._tokens.take("::"):
            names.append(self.word(self._expect("name")))
        self._expect("(")
        arguments: list[Expression] = []
        expand = False
        with self._tokens.line_breaks(False):
            while not self._tokens.take(")"):
                arguments.append(self.expression())
                expand = self._tokens.take("...") is not None
                if expand:
                    self._tokens.take(",")
                    self._expect(")")
                    break
                self._separate(")", 'separate the arguments of a function with ","')
        return Call(token.at, "::".join(names), tuple(arguments), expand)

    def _tuple(self, opener: Token) -> Expression:
        items: list[Expression] = []
        while not self._tokens.take("]"):
            items.append(self.expression())
            self._separate("]", 'separate the items of a list with ","')
        return TupleOf(opener.at, tuple(items))

    def _separate(self, closer: str, advice: str) -> None:
        """Read a comma, unless the bracket closes next."""
        if not self._tokens.take(",") and self._tokens.peek().kind != closer:
            raise unexpected(self._tokens.peek(), self._tokens.text, advice)

    def _object(self, opener: Token) -> Expression:
        items: list[tuple[Expression, Expression]] = []
        while True:
            while self._tokens.take("newline"):
                pass
            if self._tokens.take("}"):
                return ObjectOf(opener.at, tuple(items))
            key = self._key()
            if not self._tokens.take("=", ":"):
                raise unexpected(self._tokens.peek(), self._tokens.text, 'expected "=" and a value')
            items.append((key, self.expression()))
            after = self._tokens.peek()
            if after.kind != "}" and not self._tokens.take(",", "newline"):
                message = "separate the elements of an object with commas or line breaks"
                raise Problem("config.syntax", message, after.at)

    def _key(self) -> Expression:
        """A key that is just a name is text. A reference must be in parentheses."""
        first = self._tokens.peek()
        key = self.expression()
        if isinstance(key, Rendered):  # keys have no marks
            key = key.value
        if first.kind != "name":
            return key
        if isinstance(key, Name):
            return Literal(key.at, key.name)
        if isinstance(key, Literal):
            return Literal(key.at, self._tokens.text_of(first))
        if isinstance(key, (GetAttribute, GetIndex, Splat)):
            message = "a key must be a name, a string, or an expression in parentheses"
            hint = "Put a key expression in parentheses: (var.name) = ..."
            raise Problem("config.syntax", message, first.at, hint)
        return key

    def _for(self, opener: Token, closer: str) -> Expression:
        self._tokens.read()
        key, value = None, self.word(self._expect("name"))
        if self._tokens.take(","):
            key, value = value, self.word(self._expect("name"))
        if not self._tokens.take_word("in"):
            raise unexpected(self._tokens.peek(), self._tokens.text, "use the form for NAME in LIST : ...")
        items = self.expression()
        self._expect(":")
        result_key, group = None, False
        result = self.expression()
        if closer == "}":
            self._expect("=>")
            result_key, result = result, self.expression()
            group = self._tokens.take("...") is not None
        condition = self.expression() if self._tokens.take_word("if") else None
        self._expect(closer)
        return ForEach(opener.at, key, value, items, result_key, result, condition, group)

    def _steps(self, target: Expression) -> Expression:
        """`.name`, `[key]`, `.0` and splats after a term."""
        while True:
            if dot := self._tokens.take("."):
                if self._tokens.take("*"):
                    target = Splat(dot.at, target, self._attribute_steps(Element(dot.at)))
                else:
                    target = self._after_dot(target)
            elif bracket := self._tokens.take("["):
                if self._tokens.take("*"):
                    self._expect("]")
                    target = Splat(bracket.at, target, self._steps(Element(bracket.at)))
                    continue
                with self._tokens.line_breaks(False):
                    start = self._tokens.peek().at
                    target = GetIndex(start, target, self.expression())
                    self._expect("]")
            else:
                return target

    def _attribute_steps(self, target: Expression) -> Expression:
        """The steps that `.*` applies to each element: only attributes."""
        while self._tokens.take("."):
            target = self._after_dot(target)
        return target

    def _after_dot(self, target: Expression) -> Expression:
        token = self._tokens.read()
        if token.kind == "number" and self._tokens.text_of(token).isdigit():
            return GetIndex(token.at, target, Literal(token.at, _number(self._tokens.text_of(token), token.at)))
        if token.kind != "name":
            raise unexpected(token, self._tokens.text, "expected a name after the dot")
        return GetAttribute(token.at, target, self.word(token))

    def _expect(self, kind: str) -> Token:
        token = self._tokens.read()
        if token.kind != kind:
            raise unexpected(token, self._tokens.text, "expected a name" if kind == "name" else f'expected "{kind}"')
        return token


def missing_value(hole: Hole, at: int) -> Problem:
    """The problem of a template without a value, where one is needed."""
    return Problem(hole.code, hole.message, at, hole.hint)


def _negative(operator: Token, operand: Expression) -> Expression | None:
    """A negative number as a literal."""
    if operator.kind != "-" or not isinstance(operand, Literal) or isinstance(operand.value, bool):
        return None
    return Literal(operator.at, -operand.value) if isinstance(operand.value, (int, float)) else None


def _number(text: str, at: int) -> int | float:
    too_large = Problem("config.syntax", "this number is too large", at)
    try:
        exact = Decimal(text)
    except InvalidOperation:  # an exponent beyond what Decimal supports
        raise too_large from None
    if len(text) > _MOST_DIGITS or exact.adjusted() >= _MOST_DIGITS:
        raise too_large
    return int(exact) if exact == exact.to_integral_value() else float(exact)

"""Parses SQL filter expressions and rule actions by recursive descent, into functions of a message's properties.

Grammar: Microsoft, "Subscription Rule SQL Filter Syntax" and "Subscription Rule SQL Action Syntax". Precedence, highest
first: signs; * / %; + -; comparisons, LIKE, IN, IS; NOT; AND; OR.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

from dstream_sandbox.servicebus.filters.errors import FilterError, FilterSyntaxError
from dstream_sandbox.servicebus.filters.lexer import Token, tokens
from dstream_sandbox.servicebus.filters.operators import arithmetic, compare, like_pattern, negated
from dstream_sandbox.servicebus.filters.properties import MessageProperties, system_property

__all__ = ["Expression", "Reference", "Remove", "Set", "parse_action", "parse_predicate"]

Expression = Callable[[MessageProperties], object]

_RESERVED = {"AND", "OR", "NOT", "IS", "NULL", "IN", "LIKE", "ESCAPE", "EXISTS", "TRUE", "FALSE", "SET", "REMOVE"}
_COMPARATORS = ("=", "<>", "!=", "<", "<=", ">", ">=")
_MAX_LENGTH = 1024
"""Maximum length of an expression (Microsoft, "Service Bus quotas": maximum length of a filter condition)."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A property; in the system scope, `name` is that of the AMQP property."""

    scope: Literal["sys", "user"]
    name: str

    def value(self, properties: MessageProperties) -> object:
        return (properties.system if self.scope == "sys" else properties.user).get(self.name)

    def exists(self, properties: MessageProperties) -> bool:
        return self.name in (properties.system if self.scope == "sys" else properties.user)


@dataclass(frozen=True, slots=True)
class Set:
    target: Reference
    value: Expression


@dataclass(frozen=True, slots=True)
class Remove:
    target: Reference


def parse_predicate(expression: str, parameters: Mapping[str, object]) -> Expression:
    """Return a function that returns True, False or None (unknown) or raises FilterError. Raises FilterSyntaxError."""
    parser = _Parser(expression, parameters)
    predicate = parser.predicate()
    parser.expect_end()
    return predicate


def parse_action(expression: str, parameters: Mapping[str, object]) -> list[Set | Remove]:
    """Return the statements of an action. Raises FilterSyntaxError."""
    parser = _Parser(expression, parameters)
    statements = [parser.statement()]
    while parser.skip_operator(";") and not parser.at_end():
        statements.append(parser.statement())
    parser.expect_end()
    return statements


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of an expression. Only parts with `may_be_truth` are allowed as predicates."""

    evaluate: Expression
    may_be_truth: bool
    reference: Reference | None = None


class _Parser:
    def __init__(self, expression: str, parameters: Mapping[str, object]) -> None:
        if len(expression) > _MAX_LENGTH:
            raise FilterSyntaxError(f"The SQL expression is longer than {_MAX_LENGTH} characters.")
        self._tokens = tokens(expression)
        self._position = 0
        self._parameters = {name if name.startswith("@") else f"@{name}": v for name, v in parameters.items()}

    # For callers

    def predicate(self) -> Expression:
        return self._truth(self._or())

    def statement(self) -> Set | Remove:
        if self._skip_word("REMOVE"):
            return Remove(self._reference())
        self._need_word("SET")
        target = self._reference()
        self._need_operator("=")
        return Set(target, self._or().evaluate)

    def at_end(self) -> bool:
        return self._token.kind == "end"

    def expect_end(self) -> None:
        if not self.at_end():
            raise self._error()

    def skip_operator(self, *texts: str) -> str | None:
        token = self._token
        if not token.is_operator(*texts):
            return None
        self._position += 1
        return token.text

    # Predicates

    def _or(self) -> _Part:
        part = self._and()
        while self._skip_word("OR"):
            left, right = self._truth(part), self._truth(self._and())
            part = _Part(lambda p, a=left, b=right: _or(a(p), b, p), True)  # type: ignore[misc]
        return part

    def _and(self) -> _Part:
        part = self._not()
        while self._skip_word("AND"):
            left, right = self._truth(part), self._truth(self._not())
            part = _Part(lambda p, a=left, b=right: _and(a(p), b, p), True)  # type: ignore[misc]
        return part

    def _not(self) -> _Part:
        if not self._skip_word("NOT"):
            return self._comparison()
        operand = self._truth(self._not())
        return _Part(lambda p: _not(operand(p)), True)

    def _comparison(self) -> _Part:
        left = self._sum()
        if symbol := self.skip_operator(*_COMPARATORS):
            right = self._sum()
            return _Part(lambda p: compare(symbol, left.evaluate(p), right.evaluate(p)), True)
        if self._skip_word("IS"):
            return self._is_null(left)
        inverted = self._skip_word("NOT")
        if self._skip_word("LIKE"):
            part = self._like(left)
        elif self._skip_word("IN"):
            part = self._in(left)
        elif inverted:
            raise self._error()
        else:
            return left
        return _Part(lambda p: _not(part.evaluate(p)), True) if inverted else part

    def _is_null(self, left: _Part) -> _Part:
        inverted = self._skip_word("NOT")
        self._need_word("NULL")
        if left.reference is None:
            raise FilterSyntaxError("IS NULL can be applied only to a property.")
        return _Part(lambda p: (left.evaluate(p) is None) is not inverted, True)

    def _like(self, left: _Part) -> _Part:
        constant = self._token.text if self._token.kind == "string" else None
        pattern = self._sum()
        escape = self._sum() if self._skip_word("ESCAPE") else None
        compiled: re.Pattern[str] | None = None
        if constant is not None and escape is None:
            compiled = like_pattern(constant, None)

        def like(p: MessageProperties) -> bool | None:
            value = left.evaluate(p)
            if value is None:
                return None
            if not isinstance(value, str):
                raise FilterError("LIKE can be applied only to text.")
            expression = compiled or _pattern_of(pattern.evaluate(p), escape.evaluate(p) if escape else None)
            return None if expression is None else expression.fullmatch(value) is not None

        return _Part(like, True)

    def _in(self, left: _Part) -> _Part:
        self._need_operator("(")
        choices = [self._sum().evaluate]
        while self.skip_operator(","):
            choices.append(self._sum().evaluate)
        self._need_operator(")")

        def is_in(p: MessageProperties) -> bool | None:
            value = left.evaluate(p)
            answers = [compare("=", value, choice(p)) for choice in choices]
            return True if True in answers else None if None in answers else False

        return _Part(is_in, True)

    # Values

    def _sum(self) -> _Part:
        part = self._product()
        while symbol := self.skip_operator("+", "-"):
            part = _binary(symbol, part, self._product())
        return part

    def _product(self) -> _Part:
        part = self._signed()
        while symbol := self.skip_operator("*", "/", "%"):
            part = _binary(symbol, part, self._signed())
        return part

    def _signed(self) -> _Part:
        sign = self.skip_operator("+", "-")
        if sign is None:
            return self._primary()
        operand = self._signed().evaluate
        if sign == "+":
            return _Part(operand, False)
        return _Part(lambda p: negated(operand(p)), False)

    def _primary(self) -> _Part:
        token = self._token
        if self.skip_operator("("):
            part = self._or()
            self._need_operator(")")
            return part
        if token.kind in ("number", "string", "parameter"):
            self._position += 1
            return self._constant(token)
        for word, value in (("TRUE", True), ("FALSE", False), ("NULL", None)):
            if self._skip_word(word):
                return _Part(lambda p: value, True)  # noqa: B023  # returned immediately
        if self._skip_word("EXISTS"):
            self._need_operator("(")
            reference = self._reference()
            self._need_operator(")")
            return _Part(reference.exists, True)
        if token.kind == "name" and self._tokens[self._position + 1].is_operator("("):
            return self._function(token)
        reference = self._reference()
        return _Part(reference.value, True, reference)

    def _constant(self, token: Token) -> _Part:
        value: object = token.text
        if token.kind == "number":
            value = float(token.text) if any(c in token.text for c in ".eE") else int(token.text)
        elif token.kind == "parameter":
            if token.text not in self._parameters:
                raise FilterSyntaxError(f"The parameter '{token.text}' has no value.")
            value = self._parameters[token.text]
        return _Part(lambda p: value, isinstance(value, bool))

    def _function(self, token: Token) -> _Part:
        self._position += 2
        name = token.text.lower()
        if name == "newid":
            self._need_operator(")")
            return _Part(lambda p: uuid4(), False)
        if name not in ("property", "p"):
            raise FilterSyntaxError(f"'{token.text}' is not a function of the SQL filter language.")
        argument = self._sum().evaluate
        self._need_operator(")")

        def by_name(p: MessageProperties) -> object:
            key = argument(p)
            return p.user.get(key) if isinstance(key, str) else None

        return _Part(by_name, True)

    def _reference(self) -> Reference:
        first = self._name()
        if not self.skip_operator("."):
            return Reference("user", first)
        name = self._name()
        scope = first.lower()
        if scope == "sys":
            return Reference("sys", system_property(name))
        if scope == "user":
            return Reference("user", name)
        raise FilterSyntaxError(f"'{first}' is not a scope; use sys or user.")

    def _name(self) -> str:
        token = self._token
        if token.kind == "quoted_name" or (token.kind == "name" and token.text.upper() not in _RESERVED):
            self._position += 1
            return token.text
        raise self._error()

    # Tokens

    @property
    def _token(self) -> Token:
        return self._tokens[self._position]

    def _skip_word(self, word: str) -> bool:
        found = self._token.is_word(word)
        self._position += found
        return found

    def _need_word(self, word: str) -> None:
        if not self._skip_word(word):
            raise self._error()

    def _need_operator(self, text: str) -> None:
        if not self.skip_operator(text):
            raise self._error()

    def _truth(self, part: _Part) -> Expression:
        if not part.may_be_truth:
            raise FilterSyntaxError(f"A condition is expected before position {self._token.at}.")
        return part.evaluate

    def _error(self) -> FilterSyntaxError:
        token = self._token
        what = f"'{token.text}'" if token.kind != "end" else "the end"
        return FilterSyntaxError(
            f"There was an error parsing the SQL expression: unexpected {what} at position {token.at}."
        )


def _binary(symbol: str, left: _Part, right: _Part) -> _Part:
    return _Part(lambda p: arithmetic(symbol, left.evaluate(p), right.evaluate(p)), False)


def _boolean(value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise FilterError(f"A condition is expected instead of a value of type {type(value).__name__}.")


def _and(left: object, right: Expression, p: MessageProperties) -> bool | None:
    a = _boolean(left)
    if a is False:
        return False
    b = _boolean(right(p))
    return False if b is False else None if a is None or b is None else True


def _or(left: object, right: Expression, p: MessageProperties) -> bool | None:
    a = _boolean(left)
    if a is True:
        return True
    b = _boolean(right(p))
    return True if b is True else None if a is None or b is None else False


def _not(value: object) -> bool | None:
    answer = _boolean(value)
    return None if answer is None else not answer


def _pattern_of(pattern: object, escape: object) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    if not isinstance(pattern, str) or not (escape is None or isinstance(escape, str)):
        raise FilterError("The pattern of LIKE must be text.")
    return like_pattern(pattern, escape)

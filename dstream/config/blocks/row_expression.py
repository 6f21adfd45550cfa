"""Reads expressions about a row: `data.Total > var.limit && metadata.OperationType != "Delete"`. Pure.

`data`, `before` and `metadata` are the parts of a row. What does not mention them is evaluated at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast, get_args

import msgspec

from dstream.config.hcl.problem import Problem
from dstream.config.hcl.syntax import (
    Binary,
    Call,
    Expression,
    GetAttribute,
    GetIndex,
    Literal,
    Name,
    Rendered,
    TemplateExpression,
    Unary,
)
from dstream.config.values.sensitive import Sensitive
from dstream.config.values.values import Value, kind, to_text
from dstream.protocol.transforms import (
    ROOTS,
    AllOf,
    AnyOf,
    Comparison,
    FixedValue,
    Negation,
    OneOf,
    Operator,
    RowCondition,
    RowField,
    Scalar,
)

_OPERATORS = get_args(Operator)
_ALLOWED = "Use comparisons, &&, ||, ! and contains([..], COLUMN)."
_EXAMPLE = 'for example where = data.Total > 100 && metadata.OperationType != "Delete"'


class RowExpressions:
    """Reads the expressions of one block. `evaluate` returns the value of an expression that mentions no row.

    Both methods raise Problem, and what `evaluate` raises.
    """

    def __init__(self, evaluate: Callable[[Expression], Value]) -> None:
        self._evaluate = evaluate

    def condition(self, expression: Expression) -> RowCondition:
        """Read a condition, which is true or false for each row."""
        if isinstance(expression, Binary) and expression.operator in ("&&", "||"):
            both = [self.condition(expression.left), self.condition(expression.right)]
            return AllOf(both) if expression.operator == "&&" else AnyOf(both)
        if isinstance(expression, Unary) and expression.operator == "!":
            return Negation(self.condition(expression.operand))
        if not _mentions_row(expression):
            value = self._evaluate(expression)
            if not isinstance(value, bool):
                raise Problem(
                    "config.type",
                    f"a condition is true or false, not {kind(value)}",
                    expression.at,
                    f"Write {_EXAMPLE}.",
                )
            return FixedValue(value)
        if isinstance(expression, Binary) and expression.operator in _OPERATORS:
            operator = cast("Operator", expression.operator)
            left, right = self._operand(expression.left), self._operand(expression.right)
            _check_order(operator, (left, right), expression.at)
            return Comparison(operator, left, right)
        if isinstance(expression, Call) and expression.name == "contains":
            return self._one_of(expression)
        return self._field(expression)

    def text(self, expression: Expression) -> list[RowField | FixedValue]:
        """Read a text: a string, a field, or a string with fields in it. Return its parts."""
        if isinstance(expression, Rendered) and _mentions_row(expression):
            self._evaluate(Rendered(expression.at, Literal(expression.at, ""), expression.texts))  # notes the mark
            return self.text(expression.value)
        parts = expression.parts if isinstance(expression, TemplateExpression) else (expression,)
        return [self._field(part) if _mentions_row(part) else self._fixed_text(part) for part in parts]

    def _operand(self, expression: Expression) -> RowField | FixedValue:
        return self._field(expression) if _mentions_row(expression) else FixedValue(self._scalar(expression))

    def _one_of(self, call: Call) -> OneOf:
        if len(call.arguments) != 2 or call.expand or _mentions_row(call.arguments[0]):
            raise Problem("config.call", "contains() needs a list and a column", call.at, _ALLOWED)
        values = self._evaluate(call.arguments[0])
        if not isinstance(values, list):
            raise Problem("config.call", f"contains() needs a list, not {kind(values)}", call.arguments[0].at, _ALLOWED)
        field = self._field(call.arguments[1])
        return OneOf(field, [_as_scalar(value, call.arguments[0].at) for value in values])

    def _field(self, expression: Expression) -> RowField:
        path: list[str] = []
        rest = expression
        while not isinstance(rest, Name):
            match rest:
                case GetAttribute():
                    path.append(rest.name)
                case GetIndex() if not _mentions_row(rest.key):
                    path.append(self._key(rest.key))
                case _:
                    raise Problem("config.unsupported", "a column cannot be used in this expression", rest.at, _ALLOWED)
            rest = rest.target
        if rest.name not in ROOTS or not path:
            raise Problem(
                "config.type", f"{rest.name} is a whole object", rest.at, f"Name a column: {rest.name}.COLUMN"
            )
        return RowField(rest.name, path[::-1])

    def _key(self, expression: Expression) -> str:
        key = self._evaluate(expression)
        if not isinstance(key, str):
            raise Problem("config.type", f"the name of a column is a string, not {kind(key)}", expression.at)
        return key

    def _scalar(self, expression: Expression) -> Scalar:
        return _as_scalar(self._evaluate(expression), expression.at)

    def _fixed_text(self, expression: Expression) -> FixedValue:
        value = self._scalar(expression)
        if value is None:
            raise Problem("config.type", "a part of the text is null", expression.at)
        return FixedValue(to_text(value))


def _as_scalar(value: Value, at: int) -> Scalar:
    if isinstance(value, (list, dict)):
        raise Problem("config.type", f"a value of a row cannot be compared with {kind(value)}", at)
    assert not isinstance(value, Sensitive)
    return value


def _check_order(operator: Operator, operands: tuple[RowField | FixedValue, ...], at: int) -> None:
    for each in operands:
        fixed = each.value if isinstance(each, FixedValue) else ""
        if operator not in ("==", "!=") and (fixed is None or isinstance(fixed, bool)):
            raise Problem("config.type", f'"{operator}" compares numbers or strings, not {kind(fixed)}', at)


def _mentions_row(expression: Expression) -> bool:
    rest: list[object] = [expression]
    while rest:
        node = rest.pop()
        if isinstance(node, Name) and node.name in ROOTS:
            return True
        if isinstance(node, tuple):
            rest += node
        elif isinstance(node, msgspec.Struct):
            rest += [getattr(node, name) for name in node.__struct_fields__]
    return False

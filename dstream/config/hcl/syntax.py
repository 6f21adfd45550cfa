"""The syntax tree used by the rest of the package. `at` is an offset in the source's text.

The classes are msgspec structs, which are created ten times as fast as dataclasses, at every start.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from dstream.config.hcl.source import Hole


class Literal(msgspec.Struct, frozen=True):
    at: int
    value: str | int | float | bool | None


class Missing(msgspec.Struct, frozen=True):
    """A template without a value; evaluating it is an error."""

    at: int
    hole: Hole


class Rendered(msgspec.Struct, frozen=True):
    """A string or number of which a template has computed `texts` from the environment."""

    at: int
    value: Expression
    texts: tuple[str, ...]


class TemplateExpression(msgspec.Struct, frozen=True):
    """A string that contains `${}` or `%{}`."""

    at: int
    parts: tuple[Expression, ...]


class IfDirective(msgspec.Struct, frozen=True):
    at: int
    condition: Expression
    then: tuple[Expression, ...]
    otherwise: tuple[Expression, ...]


class ForDirective(msgspec.Struct, frozen=True):
    at: int
    key: str | None
    value: str
    items: Expression
    body: tuple[Expression, ...]


class Name(msgspec.Struct, frozen=True):
    at: int
    name: str


class GetAttribute(msgspec.Struct, frozen=True):
    """`at` is the offset of the name after the dot."""

    at: int
    target: Expression
    name: str


class GetIndex(msgspec.Struct, frozen=True):
    """`at` is the offset of the content of the brackets."""

    at: int
    target: Expression
    key: Expression


class Splat(msgspec.Struct, frozen=True):
    """`target[*]` or `target.*`; `each` is evaluated for every element, which `Element` stands for."""

    at: int
    target: Expression
    each: Expression


class Element(msgspec.Struct, frozen=True):
    at: int


class Call(msgspec.Struct, frozen=True):
    """A function call. `expand`: the last argument is a list followed by `...`."""

    at: int
    name: str
    arguments: tuple[Expression, ...]
    expand: bool


class Unary(msgspec.Struct, frozen=True):
    at: int
    operator: str
    operand: Expression


class Binary(msgspec.Struct, frozen=True):
    """`at` is the offset of the operator."""

    at: int
    operator: str
    left: Expression
    right: Expression


class Conditional(msgspec.Struct, frozen=True):
    at: int
    condition: Expression
    then: Expression
    otherwise: Expression


class TupleOf(msgspec.Struct, frozen=True):
    at: int
    items: tuple[Expression, ...]


class ObjectOf(msgspec.Struct, frozen=True):
    at: int
    items: tuple[tuple[Expression, Expression], ...]


class ForEach(msgspec.Struct, frozen=True):
    """`[for ...]`, or `{for ... : result_key => result}`; `group`: `...` collects the results of equal keys."""

    at: int
    key: str | None
    value: str
    items: Expression
    result_key: Expression | None
    result: Expression
    condition: Expression | None
    group: bool


Expression = (
    Literal
    | Missing
    | Rendered
    | TemplateExpression
    | IfDirective
    | ForDirective
    | Name
    | GetAttribute
    | GetIndex
    | Splat
    | Element
    | Call
    | Unary
    | Binary
    | Conditional
    | TupleOf
    | ObjectOf
    | ForEach
)


class Attribute(msgspec.Struct, frozen=True):
    at: int
    name: str
    value: Expression


class Label(msgspec.Struct, frozen=True):
    at: int
    text: str


class Block(msgspec.Struct, frozen=True):
    at: int
    name: str
    labels: tuple[Label, ...]
    body: Body


class Body(msgspec.Struct, frozen=True):
    attributes: tuple[Attribute, ...]
    blocks: tuple[Block, ...]


def calls_in(expression: Expression) -> Iterator[Call]:
    """Yield all function calls in an expression, itself included."""
    rest: list[object] = [expression]
    while rest:
        node = rest.pop()
        if isinstance(node, tuple):
            rest += node
        elif isinstance(node, msgspec.Struct):
            if isinstance(node, Call):
                yield node
            rest += [getattr(node, name) for name in node.__struct_fields__]

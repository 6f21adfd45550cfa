"""The syntax tree used by the rest of the package. `at` is an offset in the source's text."""

from __future__ import annotations

from dataclasses import dataclass

from dstream.config.hcl.source import Hole


@dataclass(frozen=True, slots=True)
class Literal:
    at: int
    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Missing:
    """A template without a value; evaluating it is an error."""

    at: int
    hole: Hole


@dataclass(frozen=True, slots=True)
class TemplateExpression:
    """A string that contains `${}` or `%{}`."""

    at: int
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class IfDirective:
    at: int
    condition: Expression
    then: tuple[Expression, ...]
    otherwise: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class ForDirective:
    at: int
    key: str | None
    value: str
    items: Expression
    body: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Name:
    at: int
    name: str


@dataclass(frozen=True, slots=True)
class GetAttribute:
    """`at` is the offset of the name after the dot."""

    at: int
    target: Expression
    name: str


@dataclass(frozen=True, slots=True)
class GetIndex:
    """`at` is the offset of the content of the brackets."""

    at: int
    target: Expression
    key: Expression


@dataclass(frozen=True, slots=True)
class Splat:
    """`target[*]` or `target.*`; `each` is applied to every element, represented by `Element`."""

    at: int
    target: Expression
    each: Expression


@dataclass(frozen=True, slots=True)
class Element:
    at: int


@dataclass(frozen=True, slots=True)
class Call:
    """`expand`: the last argument is a list that ends in `...`."""

    at: int
    name: str
    arguments: tuple[Expression, ...]
    expand: bool


@dataclass(frozen=True, slots=True)
class Unary:
    at: int
    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    """`at` is the offset of the operator."""

    at: int
    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Conditional:
    at: int
    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class TupleOf:
    at: int
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class ObjectOf:
    at: int
    items: tuple[tuple[Expression, Expression], ...]


@dataclass(frozen=True, slots=True)
class ForEach:
    """`[for ..]`, or `{for .. : result_key => result}`; `group`: `...` collects results of the same key."""

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


@dataclass(frozen=True, slots=True)
class Attribute:
    at: int
    name: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Label:
    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    at: int
    name: str
    labels: tuple[Label, ...]
    body: Body


@dataclass(frozen=True, slots=True)
class Body:
    attributes: tuple[Attribute, ...]
    blocks: tuple[Block, ...]

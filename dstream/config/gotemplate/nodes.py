"""The syntax tree of a template file. `at` is an offset in the original file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    at: int
    text: str


@dataclass(frozen=True, slots=True)
class BrokenAction:
    """An action that cannot be parsed."""

    at: int
    message: str


@dataclass(frozen=True, slots=True)
class Action:
    """A pipeline whose value is printed, or assigned to `variable` (`declares`: with `:=`)."""

    at: int
    pipeline: Pipeline
    variable: str = ""
    declares: bool = False


@dataclass(frozen=True, slots=True)
class If:
    at: int
    condition: Pipeline
    then: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class With:
    at: int
    variable: str
    subject: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Range:
    at: int
    key: str
    value: str
    items: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


Node = Text | BrokenAction | Action | If | With | Range


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands joined by `|`: the value of each is the last argument of the next."""

    commands: tuple[PipelineCommand, ...]


@dataclass(frozen=True, slots=True)
class PipelineCommand:
    """A function and its arguments, or a single operand."""

    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Constant:
    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class FunctionRef:
    name: str


@dataclass(frozen=True, slots=True)
class Variable:
    name: str


@dataclass(frozen=True, slots=True)
class Dot:
    pass


@dataclass(frozen=True, slots=True)
class Fields:
    """`target.a.b`"""

    target: Operand
    names: tuple[str, ...]


Operand = Constant | FunctionRef | Variable | Dot | Fields | Pipeline

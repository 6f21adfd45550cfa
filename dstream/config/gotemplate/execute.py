"""Evaluates a template's tree and writes the rendered text, with its mapping to the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dstream.config.gotemplate.nodes import (
    Action,
    BrokenAction,
    Constant,
    Dot,
    Fields,
    FunctionRef,
    If,
    Node,
    Operand,
    Pipeline,
    PipelineCommand,
    Range,
    Text,
    Variable,
    With,
)
from dstream.config.gotemplate.values import (
    MAX_CHARACTERS,
    TemplateFailed,
    Unset,
    check_length,
    failed,
    is_empty,
    kind,
    printed,
)
from dstream.config.hcl.problem import did_you_mean
from dstream.config.hcl.source import Hole, Segment

TemplateFunction = Callable[..., Any]
_MOST_STEPS = 1_000_000
"""Of all loops and actions of a file: `{{ range 300000000 }}` is a mistake that takes minutes."""


class TemplateTooLong(Exception):
    """The templates of a file take too many steps or write too much text. `at`: the offset of the action."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


class TemplateRefused(Exception):
    """A template calls a function that this file may not call. `at`: the offset of the action."""

    def __init__(self, name: str, at: int) -> None:
        super().__init__(f"{name} in a template")
        self.at = at


class _Read:
    """A value in a variable, or the dot, that was computed from the environment."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Output:
    """The rendered text so far."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.segments: list[Segment] = []
        self.holes: list[Hole] = []
        self._length = 0

    def write(self, text: str, origin: int, *, verbatim: bool, is_read: bool = False) -> None:
        if not text:
            return
        if self._length + len(text) > MAX_CHARACTERS:
            raise TemplateTooLong(f"the templates write more than {MAX_CHARACTERS:,} characters", origin)
        self.segments.append(Segment(self._length, origin, verbatim, is_read))
        self.parts.append(text)
        self._length += len(text)

    def write_hole(self, hole: Hole, origin: int) -> None:
        self.write(f"__dstream_hole_{len(self.holes)}__", origin, verbatim=False)
        self.holes.append(hole)


class Executor:
    """Evaluates one tree. `tolerant`: the functions that accept an unset environment variable. `reading`: those that
    read the environment; if `is_untrusted`, the file may not call them."""

    def __init__(
        self,
        functions: Mapping[str, TemplateFunction],
        tolerant: frozenset[str],
        reading: frozenset[str] = frozenset(),
        *,
        is_untrusted: bool = False,
    ) -> None:
        self.output = Output()
        self._functions = functions
        self._tolerant = tolerant
        self._reading = reading
        self._is_untrusted = is_untrusted
        self._has_read = False
        """Whether the pipeline being evaluated has read the environment."""
        self._steps = 0
        self._at = 0

    def run(self, nodes: Sequence[Node], dot: Any = None, variables: dict[str, Any] | None = None) -> None:
        scope = {"$": None} if variables is None else variables
        for node in nodes:
            self._step(node.at)
            try:
                self._node(node, dot, scope)
            except TemplateFailed as error:
                self.output.write_hole(error.hole, node.at)

    def _step(self, at: int) -> None:
        self._at = at
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise TemplateTooLong(f"the templates take more than {_MOST_STEPS:,} steps", at)

    def _node(self, node: Node, dot: Any, scope: dict[str, Any]) -> None:
        match node:
            case Text():
                self.output.write(node.text, node.at, verbatim=True)
            case BrokenAction():
                raise failed(node.message)
            case Action():
                self._action(node, dot, scope)
            case If():
                empty = is_empty(self._pipeline(node.condition, dot, scope))
                self.run(node.otherwise if empty else node.then, dot, dict(scope))
            case With():
                subject, kept = self._whole(node.subject, dot, scope)
                if is_empty(subject):
                    self.run(node.otherwise, dot, dict(scope))
                else:
                    inner = {**scope, node.variable: kept} if node.variable else dict(scope)
                    self.run(node.body, kept, inner)
            case Range():
                self._range(node, dot, scope)

    def _action(self, node: Action, dot: Any, scope: dict[str, Any]) -> None:
        value, kept = self._whole(node.pipeline, dot, scope)
        if node.variable:
            if not node.declares and node.variable not in scope:
                raise failed(f"the template variable {node.variable} is not declared")
            scope[node.variable] = kept
        elif isinstance(value, Unset):
            raise TemplateFailed(value.hole)
        else:
            self.output.write(printed(value), node.at, verbatim=False, is_read=self._has_read)

    def _range(self, node: Range, dot: Any, scope: dict[str, Any]) -> None:
        found, kept = self._whole(node.items, dot, scope)
        is_read = kept is not found
        if isinstance(found, Unset):
            raise TemplateFailed(found.hole)
        is_empty_range = True
        for key, value in _pairs(found):
            is_empty_range = False
            self._step(node.at)
            if is_read:
                key, value = _Read(key), _Read(value)
            names = {node.key: key} if node.key else {}
            self.run(node.body, value, {**scope, **names, **({node.value: value} if node.value else {})})
        if is_empty_range:
            self.run(node.otherwise, dot, dict(scope))

    def _whole(self, pipeline: Pipeline, dot: Any, scope: dict[str, Any]) -> tuple[Any, Any]:
        """Return the value of a pipeline, and what to keep in a variable or as the dot."""
        self._has_read = False
        value = self._pipeline(pipeline, dot, scope)
        return value, _Read(value) if self._has_read else value

    def _pipeline(self, pipeline: Pipeline, dot: Any, scope: dict[str, Any]) -> Any:
        first, *rest = pipeline.commands
        value = self._command(first, (), dot, scope)
        for command in rest:
            value = self._command(command, (value,), dot, scope)
        return value

    def _command(self, command: PipelineCommand, piped: tuple[Any, ...], dot: Any, scope: dict[str, Any]) -> Any:
        head, *arguments = command.operands
        if not isinstance(head, FunctionRef):
            if piped:
                raise failed('expected a function after "|"')
            return self._operand(head, dot, scope)
        values = [self._operand(argument, dot, scope) for argument in arguments]
        return self._call(head.name, [*values, *piped])

    def _operand(self, operand: Operand, dot: Any, scope: dict[str, Any]) -> Any:
        match operand:
            case Constant():
                return operand.value
            case FunctionRef():
                return self._call(operand.name, [])
            case Variable():
                if operand.name not in scope:
                    raise failed(f"the template variable {operand.name} is not declared")
                return self._opened(scope[operand.name])
            case Dot():
                return self._opened(dot)
            case Fields():
                return _field(self._operand(operand.target, dot, scope), operand.names)
            case Pipeline():
                return self._pipeline(operand, dot, scope)

    def _opened(self, kept: Any) -> Any:
        if not isinstance(kept, _Read):
            return kept
        self._has_read = True
        return kept.value

    def _call(self, name: str, values: list[Any]) -> Any:
        function = self._functions.get(name)
        if function is None:
            raise failed(f'unknown template function "{name}"', did_you_mean(name, self._functions))
        if name in self._reading:
            if self._is_untrusted:
                raise TemplateRefused(name, self._at)
            self._has_read = True
        unset = next((value for value in values if isinstance(value, Unset)), None)
        if unset is not None and name not in self._tolerant:
            return unset
        check_length(sum(len(value) for value in values if isinstance(value, str)))
        try:
            return function(*values)
        except TemplateFailed as error:
            raise TemplateFailed(Hole(error.hole.code, f"{name}: {error.hole.message}", error.hole.hint)) from None
        except (TypeError, ValueError, ArithmeticError, LookupError):
            raise failed(f"{name}: invalid arguments ({len(values)} given)") from None


def _pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    match value:
        case None:
            return iter(())
        case list():
            return iter(enumerate(value))
        case dict():
            return iter(sorted(value.items()))
        case int():
            return ((i, i) for i in range(value))
        case _:
            raise failed(f"range iterates over a list, a dict or a number, not {kind(value)}")


def _field(value: Any, names: Sequence[str]) -> Any:
    for name in names:
        if not isinstance(value, dict):
            raise failed(f".{name} not found: templates have no data")
        value = value.get(name)
    return value

"""Evaluates expressions. HCL native syntax specification, "Expressions"."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TypeAlias, TypeVar

from dstream.config.hcl.problem import Problem, did_you_mean
from dstream.config.hcl.syntax import (
    Binary,
    Call,
    Conditional,
    Element,
    Expression,
    ForDirective,
    ForEach,
    GetAttribute,
    GetIndex,
    IfDirective,
    Literal,
    Missing,
    Name,
    ObjectOf,
    Rendered,
    Splat,
    TemplateExpression,
    TupleOf,
    Unary,
    calls_in,
)
from dstream.config.values.file_text import MAX_CHARACTERS
from dstream.config.values.function_table import CallFailed, Functions
from dstream.config.values.key_vault_secret import Unread
from dstream.config.values.names import MemberLookup, Names, is_value, settled
from dstream.config.values.operators import OperatorFailed, binary, truth, unary
from dstream.config.values.sensitive import (
    Sensitive,
    SensitiveMark,
    joined,
    mark_of,
    marked,
    opened,
    revealed,
    without_secrets,
)
from dstream.config.values.unify import NotUnifiable, unified
from dstream.config.values.values import NotConvertible, Value, derived, kind, to_number, to_text
from dstream.errors import ConfigError, ConfigErrors, DStreamError

_T = TypeVar("_T")
_MarkedText: TypeAlias = tuple[str, SensitiveMark | None]
_LENIENT = ("try", "can")
"""Functions that the evaluator handles, because their arguments may fail."""
_ELEMENT = "*"
"""The name of a splat's current element; no expression can contain it."""


class FailedOutside(Exception):
    """An error outside the text: a function was denied access or could not reach a service. Not caught by `try`."""

    def __init__(self, error: DStreamError, at: int) -> None:
        super().__init__(error.message)
        self.error = error
        self.at = at


class Evaluator:
    """Evaluates expressions. Raises Problem or FailedOutside, ConfigError from the definition of a name, and Unread for
    a value in a key vault that is not read."""

    def __init__(self, names: Names, functions: Functions) -> None:
        self._names = names
        self._functions = functions
        self._tentative = 0
        self._checked: dict[int, Call] = {}

    @property
    def is_tentative(self) -> bool:
        """Whether only the type of a value is wanted: its errors do not count, and no key vault is asked."""
        return self._tentative > 0

    def evaluate(self, expression: Expression) -> Value:
        return self._value(expression, {})

    def _value(self, expression: Expression, bound: Mapping[str, Value]) -> Value:
        return settled(self._found(expression, bound), expression.at)

    def _found(self, expression: Expression, bound: Mapping[str, Value]) -> Value | MemberLookup:
        match expression:
            case Literal():
                return expression.value
            case Missing():
                hole = expression.hole
                raise Problem(hole.code, hole.message, expression.at, hole.hint)
            case Rendered():
                return _marked(self._value(expression.value, bound), SensitiveMark(read=frozenset(expression.texts)))
            case TemplateExpression():
                return self._text(expression.parts, bound)
            case IfDirective() | ForDirective():
                return self._text((expression,), bound)
            case Name():
                return bound[expression.name] if expression.name in bound else self._resolve(expression)
            case Element():
                return bound[_ELEMENT]
            case GetAttribute():
                return self._attribute(expression, bound)
            case GetIndex():
                return self._index(expression, bound)
            case Splat():
                return self._splat(expression, bound)
            case Call():
                return self._call(expression, bound)
            case Unary():
                return self._unary(expression, bound)
            case Binary():
                return self._operation(expression.at, lambda: self._binary(expression, bound))
            case Conditional():
                return self._conditional(expression, bound)
            case TupleOf():
                return [self._value(item, bound) for item in expression.items]
            case ObjectOf():
                return self._object(expression, bound)
            case ForEach():
                return self._for_each(expression, bound)

    def _resolve(self, name: Name) -> Value | MemberLookup:
        return self._names.resolve(name.name, name.at)

    def _text(self, parts: tuple[Expression, ...], bound: Mapping[str, Value]) -> Value:
        found = list(self._texts(parts, bound))
        if sum(len(text) for text, _ in found) > MAX_CHARACTERS:
            raise Problem("config.type", f"this text is longer than {MAX_CHARACTERS:,} characters", parts[0].at)
        return _marked("".join(text for text, _ in found), *(mark for _, mark in found))

    def _texts(
        self, parts: tuple[Expression, ...], bound: Mapping[str, Value]
    ) -> Iterator[tuple[str, SensitiveMark | None]]:
        """Yield the text of each part with its mark; what decides about a part is a mark without text."""
        for part in parts:
            match part:
                case IfDirective():
                    holds, mark = self._truth(part.condition, "if", bound)
                    yield "", mark
                    yield from self._texts(part.then if holds else part.otherwise, bound)
                case ForDirective():
                    turns, mark = self._iterations(part, bound)
                    yield "", mark
                    for names in turns:
                        yield from self._texts(part.body, names)
                case _:
                    value, mark = opened(self._value(part, bound))
                    yield self._to_text(part, value), mark

    def _to_text(self, part: Expression, value: Value) -> str:
        try:
            return to_text(value)
        except NotConvertible as error:
            hint = "Convert a list or an object to text with jsonencode()." if value is not None else ""
            raise Problem("config.type", f"{error} cannot be used inside a string", part.at, hint) from None

    def _attribute(self, access: GetAttribute, bound: Mapping[str, Value]) -> Value | MemberLookup:
        target = self._found(access.target, bound)
        if is_value(target):
            inner, mark = opened(target)
            return _marked(_member(inner, access.name, access.at), mark)
        return target.member(access.name, access.at)

    def _index(self, access: GetIndex, bound: Mapping[str, Value]) -> Value | MemberLookup:
        target, of_target = opened(self._found(access.target, bound))
        key, of_key = opened(self._value(access.key, bound))
        try:
            if isinstance(target, list):
                return _marked(self._item(target, key, access.at), of_target, of_key)
            found = self._member_by_key(target, self._to_text(access.key, key), access.at)
        except Problem as problem:
            message = without_secrets(problem.message, [Sensitive(key, of_key)] if of_key else [])
            raise Problem(problem.code, message, problem.at, problem.hint) from None
        return _marked(settled(found, access.at), of_target, of_key) if of_target or of_key else found

    def _item(self, items: list[Value], key: Value, at: int) -> Value:
        try:
            index = to_number(key)
        except NotConvertible as error:
            raise Problem("config.type", f"the index of a list must be a number, not {error}", at) from None
        if not isinstance(index, int) or not 0 <= index < len(items):
            message = f"index {to_text(index)} is out of range for a list of length {len(items)}"
            raise Problem("config.undefined", message, at)
        return items[index]

    def _member_by_key(self, target: Value | MemberLookup, key: str, at: int) -> Value | MemberLookup:
        return _member(target, key, at) if is_value(target) else target.member(key, at)

    def _splat(self, splat: Splat, bound: Mapping[str, Value]) -> Value:
        """Evaluate a splat. A single value counts as a list of one, null as an empty list."""
        target, mark = opened(self._value(splat.target, bound))
        items = target if isinstance(target, list) else [] if target is None else [target]
        return _marked([self._value(splat.each, {**bound, _ELEMENT: item}) for item in items], mark)

    def _unary(self, expression: Unary, bound: Mapping[str, Value]) -> Value:
        operand, mark = opened(self._value(expression.operand, bound))
        return derived(self._operation(expression.at, lambda: unary(expression.operator, operand)), mark)

    def _binary(self, expression: Binary, bound: Mapping[str, Value]) -> Value:
        operator, (left, of_left) = expression.operator, opened(self._value(expression.left, bound))
        if operator in ("&&", "||"):
            decides = truth(left, operator)
            if decides == (operator == "||"):
                return _marked(decides, of_left)
            right, of_right = opened(self._value(expression.right, bound))
            return _marked(truth(right, operator), of_left, of_right)
        right = self._value(expression.right, bound)
        mark = joined([of_left, mark_of(left), mark_of(right)])
        return derived(binary(operator, revealed(left), revealed(right)), mark)

    def _operation(self, at: int, run: Callable[[], _T]) -> _T:
        try:
            return run()
        except OperatorFailed as error:
            raise Problem("config.type", str(error), at) from None

    def _object(self, expression: ObjectOf, bound: Mapping[str, Value]) -> Value:
        result: dict[str, Value] = {}
        marks: list[SensitiveMark | None] = []
        for key_expression, value in expression.items:
            key, mark = self._key(key_expression, bound)
            marks.append(mark)
            if key in result:
                message = f'duplicate key "{"***" if mark else key}"'
                raise Problem("config.duplicate", message, key_expression.at)
            result[key] = self._value(value, bound)
        return _marked(result, *marks)

    def _key(self, expression: Expression, bound: Mapping[str, Value]) -> tuple[str, SensitiveMark | None]:
        """Return a key of an object. Its mark belongs to the object, since keys have none."""
        key, mark = opened(self._value(expression, bound))
        try:
            return to_text(key), mark
        except NotConvertible as error:
            raise Problem("config.type", f"a key must be a string, not {error}", expression.at) from None

    def _conditional(self, conditional: Conditional, bound: Mapping[str, Value]) -> Value:
        """Return the chosen result, converted to the type that it has in common with the other one, if any."""
        holds, mark = self._truth(conditional.condition, "?", bound)
        chosen, other = (conditional.then, conditional.otherwise)[:: 1 if holds else -1]
        value = self._value(chosen, bound)
        if value is not None and not isinstance(value, str):  # no type changes these
            with suppress(NotUnifiable):
                value = unified([value, self._tentatively(other, bound)])[0]
        return _marked(value, mark)

    def _tentatively(self, expression: Expression, bound: Mapping[str, Value]) -> Value:
        """Return the value of an expression of which only the type counts; null if it fails or needs a key vault."""
        self._tentative += 1
        try:
            return self._value(expression, bound)
        except (Problem, ConfigError, ConfigErrors, FailedOutside, Unread):
            return None
        finally:
            self._tentative -= 1

    def _iterations(
        self, loop: ForEach | ForDirective, bound: Mapping[str, Value]
    ) -> tuple[list[dict[str, Value]], SensitiveMark | None]:
        """Return the names bound in each iteration, and the mark of the whole. Objects are iterated in key order."""
        items, mark = opened(self._value(loop.items, bound))
        pairs: list[tuple[Value, Value]]
        if isinstance(items, dict):
            pairs = [(key, items[key]) for key in sorted(items)]
        elif isinstance(items, list):
            pairs = list(enumerate(items))
        else:
            raise Problem("config.type", f"for iterates over a list or an object, not {kind(items)}", loop.items.at)
        if mark is not None:
            pairs = [(_marked(key, mark), _marked(value, mark)) for key, value in pairs]
        if loop.key is None:
            return [{**bound, loop.value: value} for _, value in pairs], mark
        return [{**bound, loop.key: key, loop.value: value} for key, value in pairs], mark

    def _for_each(self, loop: ForEach, bound: Mapping[str, Value]) -> Value:
        turns, mark = self._iterations(loop, bound)
        marks = [mark]
        if loop.condition is not None:
            passed = [(names, *self._truth(loop.condition, "if", names)) for names in turns]
            turns = [names for names, passes, _ in passed if passes]
            marks += [mark for _, _, mark in passed]
        if loop.result_key is None:
            return _marked([self._value(loop.result, names) for names in turns], *marks)
        result: dict[str, Value] = {}
        groups: dict[str, list[Value]] = {}
        for names in turns:
            key, mark = self._key(loop.result_key, names)
            marks.append(mark)
            value = self._value(loop.result, names)
            if not loop.group and key in result:
                hint = "Add `...` after the value to collect the values of equal keys into lists."
                message = f'duplicate key "{"***" if mark else key}"'
                raise Problem("config.duplicate", message, loop.result_key.at, hint)
            groups.setdefault(key, []).append(value)
            result[key] = groups[key] if loop.group else value
        return _marked(result, *marks)

    def _truth(self, condition: Expression, word: str, bound: Mapping[str, Value]) -> tuple[bool, SensitiveMark | None]:
        value, mark = opened(self._value(condition, bound))
        return self._operation(condition.at, lambda: truth(value, word)), mark

    def _call(self, call: Call, bound: Mapping[str, Value]) -> Value:
        if call.name in _LENIENT:
            self._check_functions(call)
            return self._try(call, bound) if call.name == "try" else self._can(call, bound)
        function = self._functions.get(call.name)
        if function is None:
            raise self._unknown_function(call)
        arguments = self._arguments(call, bound)
        if self._tentative and function.asks_vault(arguments):
            raise Unread
        try:
            return function.call(arguments)
        except CallFailed as error:
            message = without_secrets(_with_name(call, error), arguments)
            hint = without_secrets(error.hint, arguments)
            raise Problem(error.code, message, _blamed(call, error), hint) from None
        except ConfigError as error:
            raise Problem(error.code, without_secrets(error.message, arguments), call.at, error.hint) from None
        except DStreamError as error:
            raise FailedOutside(error, call.at) from None

    def _unknown_function(self, call: Call) -> Problem:
        hint = did_you_mean(call.name, [*self._functions, *_LENIENT])
        return Problem("config.undefined", f'unknown function "{call.name}"', call.at, hint)

    def _check_functions(self, lenient: Call) -> None:
        """Raise Problem for an unknown function in the arguments of try() or can(), which must not hide a typo."""
        if id(lenient) in self._checked:
            return
        for call in calls_in(lenient):
            if call.name not in self._functions and call.name not in _LENIENT:
                raise self._unknown_function(call)
        self._checked[id(lenient)] = lenient

    def _arguments(self, call: Call, bound: Mapping[str, Value]) -> list[Value]:
        values = [self._value(argument, bound) for argument in call.arguments]
        if not call.expand:
            return values
        last, mark = opened(values.pop())
        if not isinstance(last, list):
            message = f'only a list can be spread with "...", not {kind(last)}'
            raise Problem("config.type", message, call.arguments[-1].at)
        return values + [_marked(item, mark) for item in last]

    def _try(self, call: Call, bound: Mapping[str, Value]) -> Value:
        """Return the first argument that can be evaluated; otherwise raise the error of the last one."""
        if not call.arguments:
            raise Problem("config.call", "try: takes 1 or more arguments, not 0", call.at)
        for argument in call.arguments[:-1]:
            try:
                return self._value(argument, bound)
            except (Problem, ConfigError, ConfigErrors):
                continue
        return self._value(call.arguments[-1], bound)

    def _can(self, call: Call, bound: Mapping[str, Value]) -> bool:
        """Return whether the argument can be evaluated."""
        if len(call.arguments) != 1 or call.expand:
            raise Problem("config.call", f"can: takes 1 argument, not {len(call.arguments)}", call.at)
        try:
            self._value(call.arguments[0], bound)
        except (Problem, ConfigError, ConfigErrors):
            return False
        return True


def _marked(value: Value, *marks: SensitiveMark | None) -> Value:
    return marked(value, *marks)  # type: ignore[no-any-return]


def _member(target: Value, name: str, at: int) -> Value:
    if not isinstance(target, dict):
        raise Problem("config.type", f"{kind(target)} has no attributes", at)
    if name not in target:
        raise Problem("config.undefined", f'unknown attribute "{name}"', at, did_you_mean(name, target))
    value: Value = target[name]
    return value


def _with_name(call: Call, error: CallFailed) -> str:
    return str(error) if error.code in ("config.env_unset", "config.file") else f"{call.name}: {error}"


def _blamed(call: Call, error: CallFailed) -> int:
    """Return the offset of the faulty argument, or of the call itself if an environment variable is unset."""
    if error.argument is None or error.code == "config.env_unset" or error.argument >= len(call.arguments):
        return call.at
    return call.arguments[error.argument].at

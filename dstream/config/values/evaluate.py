"""Evaluates expressions. HCL native syntax specification, "Expressions"."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TypeVar

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
    Splat,
    TemplateExpression,
    TupleOf,
    Unary,
    calls_in,
)
from dstream.config.values.file_text import MAX_CHARACTERS
from dstream.config.values.function_table import CallFailed, Functions
from dstream.config.values.key_vault_secret import Unread
from dstream.config.values.operators import OperatorFailed, binary, truth, unary
from dstream.config.values.unify import NotUnifiable, unified
from dstream.config.values.values import (
    NotConvertible,
    SecretText,
    Value,
    derived,
    kind,
    secrets_in,
    to_number,
    to_text,
    without_secrets,
)
from dstream.errors import ConfigError, ConfigErrors, DStreamError

if TYPE_CHECKING:
    from typing_extensions import TypeIs


class MemberLookup(Protocol):
    """A namespace whose members are evaluated on demand: `var`, `local`, `task`."""

    def member(self, name: str, at: int) -> Value | MemberLookup: ...

    def whole(self, at: int) -> Value: ...


class Names(Protocol):
    """Resolves the names in an expression."""

    def resolve(self, name: str, at: int) -> Value | MemberLookup: ...


def is_value(found: Value | MemberLookup) -> TypeIs[Value]:
    return found is None or isinstance(found, (bool, int, float, str, list, dict))


def settled(found: Value | MemberLookup, at: int) -> Value:
    """Return the value, or the whole namespace as an object."""
    return found if is_value(found) else found.whole(at)


_T = TypeVar("_T")
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
                return self._operation(
                    expression.at, lambda: unary(expression.operator, self._value(expression.operand, bound))
                )
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

    def _text(self, parts: tuple[Expression, ...], bound: Mapping[str, Value]) -> str:
        texts = list(self._texts(parts, bound))
        if sum(map(len, texts)) > MAX_CHARACTERS:
            raise Problem("config.type", f"this text is longer than {MAX_CHARACTERS:,} characters", parts[0].at)
        secrets = secrets_in(list(texts))
        whole = "".join(texts)
        return SecretText.of(whole, secrets) if secrets else whole

    def _texts(self, parts: tuple[Expression, ...], bound: Mapping[str, Value]) -> Iterator[str]:
        for part in parts:
            match part:
                case IfDirective():
                    holds = self._truth(part.condition, "if", bound)
                    yield from self._texts(part.then if holds else part.otherwise, bound)
                case ForDirective():
                    for names in self._iterations(part, bound):
                        yield from self._texts(part.body, names)
                case _:
                    yield self._to_text(part, self._value(part, bound))

    def _to_text(self, part: Expression, value: Value) -> str:
        try:
            return to_text(value)
        except NotConvertible as error:
            hint = "Convert a list or an object to text with jsonencode()." if value is not None else ""
            raise Problem("config.type", f"{error} cannot be used inside a string", part.at, hint) from None

    def _attribute(self, access: GetAttribute, bound: Mapping[str, Value]) -> Value | MemberLookup:
        target = self._found(access.target, bound)
        if is_value(target):
            return _member(target, access.name, access.at)
        return target.member(access.name, access.at)

    def _index(self, access: GetIndex, bound: Mapping[str, Value]) -> Value | MemberLookup:
        target = self._found(access.target, bound)
        key = self._value(access.key, bound)
        if not isinstance(target, list):
            return self._member_by_key(target, self._to_text(access.key, key), access.at)
        try:
            index = to_number(key)
        except NotConvertible as error:
            raise Problem("config.type", f"the index of a list must be a number, not {error}", access.at) from None
        if not isinstance(index, int) or not 0 <= index < len(target):
            message = f"index {to_text(index)} is out of range for a list of length {len(target)}"
            raise Problem("config.undefined", message, access.at)
        item: Value = target[index]
        return item

    def _member_by_key(self, target: Value | MemberLookup, key: str, at: int) -> Value | MemberLookup:
        try:
            return _member(target, key, at) if is_value(target) else target.member(key, at)
        except Problem as problem:
            raise Problem(problem.code, without_secrets(problem.message, [key]), at, problem.hint) from None

    def _splat(self, splat: Splat, bound: Mapping[str, Value]) -> Value:
        """Evaluate a splat. A single value counts as a list of one, null as an empty list."""
        target = self._value(splat.target, bound)
        items = target if isinstance(target, list) else [] if target is None else [target]
        return [self._value(splat.each, {**bound, _ELEMENT: item}) for item in items]

    def _binary(self, expression: Binary, bound: Mapping[str, Value]) -> Value:
        operator, left = expression.operator, self._value(expression.left, bound)
        if operator == "&&":
            return truth(left, operator) and truth(self._value(expression.right, bound), operator)
        if operator == "||":
            return truth(left, operator) or truth(self._value(expression.right, bound), operator)
        return binary(operator, left, self._value(expression.right, bound))

    def _operation(self, at: int, run: Callable[[], _T]) -> _T:
        try:
            return run()
        except OperatorFailed as error:
            raise Problem("config.type", str(error), at) from None

    def _object(self, expression: ObjectOf, bound: Mapping[str, Value]) -> Value:
        result: dict[str, Value] = {}
        for key_expression, value in expression.items:
            key = self._key(key_expression, bound)
            if key in result:
                message = without_secrets(f'duplicate key "{key}"', [key])
                raise Problem("config.duplicate", message, key_expression.at)
            result[key] = self._value(value, bound)
        return result

    def _key(self, expression: Expression, bound: Mapping[str, Value]) -> str:
        key = self._value(expression, bound)
        try:
            return to_text(key)
        except NotConvertible as error:
            raise Problem("config.type", f"a key must be a string, not {error}", expression.at) from None

    def _conditional(self, conditional: Conditional, bound: Mapping[str, Value]) -> Value:
        """Return the chosen result, converted to the type that it has in common with the other one, if any."""
        holds = self._truth(conditional.condition, "?", bound)
        chosen, other = (conditional.then, conditional.otherwise)[:: 1 if holds else -1]
        value = self._value(chosen, bound)
        if value is None or isinstance(value, str):  # no type changes these
            return value
        with suppress(NotUnifiable):
            value = unified([value, self._tentatively(other, bound)])[0]
        return value

    def _tentatively(self, expression: Expression, bound: Mapping[str, Value]) -> Value:
        """Return the value of an expression of which only the type counts; null if it fails or needs a key vault."""
        self._tentative += 1
        try:
            return self._value(expression, bound)
        except (Problem, ConfigError, ConfigErrors, FailedOutside, Unread):
            return None
        finally:
            self._tentative -= 1

    def _iterations(self, loop: ForEach | ForDirective, bound: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
        """Yield the names bound in each iteration. Objects are iterated in key order."""
        items = self._value(loop.items, bound)
        pairs: list[tuple[Value, Value]]
        if isinstance(items, dict):
            pairs = [(key, items[key]) for key in sorted(items)]
        elif isinstance(items, list):
            pairs = list(enumerate(items))
        else:
            raise Problem("config.type", f"for iterates over a list or an object, not {kind(items)}", loop.items.at)
        for key, value in pairs:
            yield {**bound, loop.value: value} if loop.key is None else {**bound, loop.key: key, loop.value: value}

    def _for_each(self, loop: ForEach, bound: Mapping[str, Value]) -> Value:
        turns = [names for names in self._iterations(loop, bound) if self._passes(loop, names)]
        if loop.result_key is None:
            return [self._value(loop.result, names) for names in turns]
        result: dict[str, Value] = {}
        groups: dict[str, list[Value]] = {}
        for names in turns:
            key, value = self._key(loop.result_key, names), self._value(loop.result, names)
            if not loop.group and key in result:
                hint = "Add `...` after the value to collect the values of equal keys into lists."
                message = without_secrets(f'duplicate key "{key}"', [key])
                raise Problem("config.duplicate", message, loop.result_key.at, hint)
            groups.setdefault(key, []).append(value)
            result[key] = groups[key] if loop.group else value
        return result

    def _passes(self, loop: ForEach, names: Mapping[str, Value]) -> bool:
        return loop.condition is None or self._truth(loop.condition, "if", names)

    def _truth(self, condition: Expression, word: str, bound: Mapping[str, Value]) -> bool:
        value = self._value(condition, bound)
        return self._operation(condition.at, lambda: truth(value, word))

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
            result = function.call(arguments)
            return result if function.reveals else derived(result, arguments)
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
        last = values.pop()
        if not isinstance(last, list):
            message = f'only a list can be spread with "...", not {kind(last)}'
            raise Problem("config.type", message, call.arguments[-1].at)
        return values + last

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

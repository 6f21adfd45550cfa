"""Types of input variables: `variable "x" { type, default }`, and values given from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dstream.config.hcl.parse import parse_expression
from dstream.config.hcl.problem import Problem
from dstream.config.hcl.syntax import Call, Expression, Literal, Name, ObjectOf, TupleOf
from dstream.config.values.evaluate import Evaluator
from dstream.config.values.sensitive import marked, opened, revealed
from dstream.config.values.values import NotConvertible, Value, equal, kind, to_bool, to_number, to_text


@dataclass(frozen=True, slots=True)
class VariableType:
    """A type. `name` is its form in HCL. `convert` raises NotConvertible and accepts null."""

    name: str
    convert: Callable[[Value], Value]
    takes_text: bool = False
    """For a string, the given text is the value; for all other types, it is parsed as an expression."""


class _NoNames:
    def resolve(self, name: str, at: int) -> Value:
        raise Problem("config.undefined", "names are not allowed here", at)


def _any(value: Value) -> Value:
    return value


ANY = VariableType("any", _any, takes_text=True)
_SIMPLE = {
    "string": VariableType("string", to_text, takes_text=True),
    "number": VariableType("number", to_number),
    "bool": VariableType("bool", to_bool),
    "any": ANY,
}


def type_of(expression: Expression) -> VariableType:
    """Return the type named by `type = ...`. Raises Problem."""
    match expression:
        case Name() if expression.name in _SIMPLE:
            return _SIMPLE[expression.name]
        case Name() if expression.name in ("list", "set", "map"):
            return _collection(expression.name, ANY)
        case Call(name=("list" | "set" | "map") as name, arguments=(of,)):
            return _collection(name, type_of(of))
        case Call(name="object", arguments=(ObjectOf() as fields,)):
            return _object({_key(key): type_of(value) for key, value in fields.items})
        case Call(name="tuple", arguments=(TupleOf() as items,)):
            return _tuple([type_of(item) for item in items.items])
    hint = "Types: string, number, bool, list(...), set(...), map(...), object({...}), tuple([...]), any."
    if isinstance(expression, Literal) and expression.value in _SIMPLE:
        hint = f"Write the type without quotes: {expression.value}"
    raise Problem("config.type", "not a valid type", expression.at, hint)


def read_value(text: str, wanted: VariableType) -> Value:
    """Parse a value from the command line or the environment. Raises NotConvertible."""
    if wanted.takes_text or wanted.name in _SIMPLE:
        return wanted.convert(text)
    try:
        expression = parse_expression(text)
        value = Evaluator(_NoNames(), {}).evaluate(expression)
    except Problem:
        raise NotConvertible("an invalid expression") from None
    return wanted.convert(value)


def _key(expression: Expression) -> str:
    if isinstance(expression, Literal):
        return to_text(expression.value)
    raise Problem("config.type", "expected an attribute name", expression.at)


def _collection(name: str, of: VariableType) -> VariableType:
    def to_list(value: Value) -> Value:
        if not isinstance(value, list):
            raise NotConvertible(kind(value))
        return [_nullable(of, item) for item in value]

    def to_set(value: Value) -> Value:
        unique: list[Value] = []
        items = to_list(value)
        assert isinstance(items, list)
        for item in items:
            if not any(equal(revealed(item), revealed(other)) for other in unique):
                unique.append(item)
        return unique

    def to_map(value: Value) -> Value:
        if not isinstance(value, dict):
            raise NotConvertible(kind(value))
        return {key: _nullable(of, item) for key, item in value.items()}

    return VariableType(f"{name}({of.name})", {"list": to_list, "set": to_set, "map": to_map}[name])


def _object(fields: dict[str, VariableType]) -> VariableType:
    def convert(value: Value) -> Value:
        if not isinstance(value, dict):
            raise NotConvertible(kind(value))
        missing = fields.keys() - value.keys()
        if missing:
            raise NotConvertible(f"an object without {', '.join(sorted(missing))}")
        return {name: _nullable(of, value[name]) for name, of in fields.items()}

    names = ", ".join(f"{name} = {of.name}" for name, of in fields.items())
    return VariableType(f"object({{{names}}})", convert)


def _tuple(items: list[VariableType]) -> VariableType:
    def convert(value: Value) -> Value:
        if not isinstance(value, list):
            raise NotConvertible(kind(value))
        if len(value) != len(items):
            raise NotConvertible(f"a list of {len(value)}")
        return [_nullable(of, item) for of, item in zip(items, value, strict=True)]

    return VariableType(f"tuple([{', '.join(of.name for of in items)}])", convert)


def _nullable(of: VariableType, value: Value) -> Value:
    inner, mark = opened(value)
    return marked(None if inner is None else of.convert(inner), mark)  # type: ignore[no-any-return]

"""`variable` blocks and their values: `--var`, then DSTREAM_VAR_name, then the default."""

from __future__ import annotations

from collections.abc import Mapping

from dstream.config.blocks.body_reader import BodyReader
from dstream.config.blocks.variable_type import ANY, VariableType, read_value, type_of
from dstream.config.hcl.problem import Problem
from dstream.config.hcl.syntax import Block
from dstream.config.values.scope import NamedValue
from dstream.config.values.sensitive import mark_of, marked, opened
from dstream.config.values.values import NotConvertible, Value, concealed, derived
from dstream.errors import ConfigError, SourceLocation

ENVIRONMENT_PREFIX = "DSTREAM_VAR_"


def variable_definition(
    name: str, block: Block, reader: BodyReader, given: Mapping[str, Value], environ: Mapping[str, str]
) -> NamedValue:
    """Return the variable for use in expressions. Errors in the block itself are reported to the reader immediately."""
    reader.check({"type", "default", "description", "sensitive"}, ())
    reader.text("description")
    wanted = _type(reader)
    sensitive = reader.flag("sensitive")
    place = reader.source.place(block.at, reader.block)

    def compute() -> Value:
        value = _value(name, reader, wanted, place, given, environ)
        return derived(concealed(value), mark_of(value)) if sensitive else value

    return reader.scope.define(f"var.{name}", place, compute)


def _type(reader: BodyReader) -> VariableType:
    attribute = reader.attribute("type")
    if attribute is None:
        return ANY
    try:
        return type_of(attribute.value)
    except Problem as problem:
        reader.complaints.add(reader.source.error(problem, reader.block))
        return ANY


def _value(
    name: str,
    reader: BodyReader,
    wanted: VariableType,
    place: SourceLocation,
    given: Mapping[str, Value],
    environ: Mapping[str, str],
) -> Value:
    from_environment = ENVIRONMENT_PREFIX + name
    if name in given:
        return _from_outside(given[name], wanted, f"the value of variable {name}", place)
    if from_environment in environ:
        return _from_outside(environ[from_environment], wanted, from_environment, place)
    default = reader.attribute("default")
    if default is None:
        hint = f"Set it with --var {name}=VALUE or {from_environment}, or add a default."
        raise ConfigError("config.missing", f'variable "{name}" has no value', place=place, hint=hint)
    value, mark = opened(reader.evaluate(default))
    try:
        return marked(None if value is None else wanted.convert(value), mark)  # type: ignore[no-any-return]
    except NotConvertible as error:
        default_place = reader.source.place(default.value.at, reader.block)
        raise ConfigError(
            "config.type", f"the default must be {wanted.name}, not {error}", place=default_place
        ) from None


def _from_outside(value: Value, wanted: VariableType, origin: str, place: SourceLocation) -> Value:
    inner, mark = opened(value)
    try:
        converted = read_value(inner, wanted) if isinstance(inner, str) else wanted.convert(inner)
        return marked(converted, mark)  # type: ignore[no-any-return]
    except NotConvertible as error:
        raise ConfigError("config.type", f"{origin} must be {wanted.name}, not {error}", place=place) from None

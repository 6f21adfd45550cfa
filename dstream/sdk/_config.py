"""Typed config: field types beyond msgspec's, decoding errors with a path, and the JSON Schema."""

from __future__ import annotations

import difflib
import functools
import operator
import re
from types import UnionType
from typing import Any, Generic, TypeVar, get_args, get_origin

import msgspec

from dstream.errors import ConfigError

T = TypeVar("T")
ConfigT = TypeVar("ConfigT")


class Secret(Generic[T]):
    """A value that prints as `***`; `reveal()` returns it."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and bool(self._value == other._value)

    def __hash__(self) -> int:
        return hash(self._value)


def run_only(**when: Any) -> msgspec.Meta:
    """Mark a setting that `status` and `destroy` don't need: `Annotated[str, run_only()]`.

    They then work while an environment variable in the setting is unset. Never mark a setting that identifies what to
    delete. With arguments, the mark applies only if other settings have these values: `run_only(mode="arm")`.
    """
    return msgspec.Meta(extra_json_schema={"x-run-only": when or True})


def identifier() -> msgspec.Meta:
    """Mark a setting that names what a plan or a log line is about, such as a queue: `Annotated[str, identifier()]`.

    The host then shows its value although `env()` or `file()` has read it. Never mark a setting that may contain a
    secret.
    """
    return msgspec.Meta(extra_json_schema={"x-identifier": True})


_MSGSPEC_WORDING = ("Expected", "expected", "Invalid enum value")
"""How messages about types and choices begin. `mismatches` has better ones."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|KiB|MB|MiB|GB|GiB)?")
_BYTES = {"B": 1, "KB": 1000, "KiB": 1024, "MB": 1000**2, "MiB": 1024**2, "GB": 1000**3, "GiB": 1024**3}


class Duration(float):
    """A duration in seconds, written as "250ms", "5s" or "1h30m". A bare number is milliseconds, as in the original."""

    text: str

    def __new__(cls, value: str | int | float) -> Duration:
        self = super().__new__(cls, cls._parse(value) if isinstance(value, str) else value / 1000)
        self.text = value if isinstance(value, str) else f"{value}ms"
        return self

    @staticmethod
    def _parse(text: str) -> float:
        if not text or _DURATION.sub("", text):
            raise ValueError(f'"{text}" is not a valid duration; use e.g. "250ms", "5s" or "1h30m"')
        return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))


class Size(int):
    """A size in bytes, written as "64KiB", "1MiB", "10MB" or a number."""

    text: str

    def __new__(cls, value: str | int) -> Size:
        self = super().__new__(cls, cls._parse(value) if isinstance(value, str) else value)
        self.text = str(value)
        return self

    @staticmethod
    def _parse(text: str) -> int:
        match = _SIZE.fullmatch(text)
        if not match:
            raise ValueError(f'"{text}" is not a valid size; use e.g. "64KiB", "1MiB" or "10MB"')
        return int(float(match[1]) * _BYTES[match[2] or "B"])


def decode_config(config: dict[str, Any], config_type: type[ConfigT]) -> ConfigT:
    """Decode the config as `config_type`. Raises ConfigError `config.invalid` with the path inside the config."""
    try:
        return msgspec.convert(config, config_type, dec_hook=_decode_custom)
    except msgspec.ValidationError as error:
        message, path = _split_path(str(error))
        hint = _suggestion(message, config_type)
        if message.startswith(_MSGSPEC_WORDING):
            message, hint = _as_validate_says(config, config_type, path) or (message, hint)
        raise ConfigError("config.invalid", message, config_path=path, hint=hint) from error


def config_schema(config_type: type[Any]) -> dict[str, Any]:
    """Return the JSON Schema of a config class; secret fields are `writeOnly`."""
    return msgspec.json.schema(_with_plain_defaults(config_type), schema_hook=_schema_custom)


def _with_plain_defaults(kind: Any) -> Any:
    """Return the same class with defaults that msgspec can write into a schema: Duration("5s") as "5s"."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        arguments = tuple(_with_plain_defaults(argument) for argument in get_args(kind))
        if arguments == get_args(kind):
            return kind
        return functools.reduce(operator.or_, arguments) if isinstance(kind, UnionType) else get_origin(kind)[arguments]
    return _struct_with_plain_defaults(kind)


@functools.cache
def _struct_with_plain_defaults(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """Cached per class: msgspec treats two classes of the same name as two definitions."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(kind):
        inner = _with_plain_defaults(field.type)
        if field.required:
            fields.append((field.name, inner))
        elif field.default is msgspec.NODEFAULT:
            fields.append((field.name, inner, msgspec.field(default_factory=field.default_factory)))
        else:
            default = field.default.text if isinstance(field.default, (Duration, Size)) else field.default
            fields.append((field.name, inner, default))
    names = {field.name: field.encode_name for field in msgspec.structs.fields(kind)}
    return msgspec.defstruct(
        kind.__name__,
        fields,
        namespace={"__doc__": kind.__doc__},
        rename=names,
        kw_only=True,
        forbid_unknown_fields=kind.__struct_config__.forbid_unknown_fields,
    )


def _decode_custom(wanted: Any, value: Any) -> Any:
    kind = get_origin(wanted) or wanted
    if kind is Secret:
        if not isinstance(value, str):
            raise ValueError(f"expected text, got {type(value).__name__}")
        return Secret(value)
    if kind in (Duration, Size):
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ValueError(f"expected text or a number, got {type(value).__name__}")
        return kind(value)
    raise NotImplementedError(f"config fields of type {wanted} are not supported")


def _schema_custom(wanted: Any) -> dict[str, Any]:
    kind = get_origin(wanted) or wanted
    if kind is Secret:
        return {"type": "string", "writeOnly": True}
    if kind is Duration:
        return {
            "type": ["string", "number"],
            "pattern": f"^({_DURATION.pattern})+$",
            "examples": ["250ms", "5s", "1h30m"],
        }
    if kind is Size:
        return {"type": ["string", "integer"], "pattern": f"^{_SIZE.pattern}$", "examples": ["64KiB", "1MiB"]}
    raise NotImplementedError(f"config fields of type {wanted} are not supported")


def _split_path(text: str) -> tuple[str, str]:
    """msgspec's wording: `Expected `int`, got `str` - at `$.tables[0]``."""
    message, _, at = text.partition(" - at `$")
    unknown = re.search(r"unknown field `(.+?)`", message)
    path = at.rstrip("`").lstrip(".")
    missing = re.search(r"required field `(.+?)`", message)
    if found := unknown or missing:
        name = found[1]
        inside = f"{path}.{name}" if path else name
        return (f'unknown setting "{name}"' if unknown else f'the setting "{name}" is missing'), inside
    return message.replace("`", '"'), path


def _as_validate_says(config: dict[str, Any], config_type: type[Any], path: str) -> tuple[str, str] | None:
    """Return the message and hint with which `dstream validate` reports the setting, which the schema allows no more
    than the class does."""
    from dstream.config.schema.check import mismatches  # only for errors: it takes long to import

    found = next((each for each in mismatches(config, config_schema(config_type)) if each.path == path), None)
    return (found.message, found.hint) if found else None


def _suggestion(message: str, config_type: type[Any]) -> str:
    unknown = re.fullmatch(r'unknown setting "(.+)"', message)
    if not unknown:
        return ""
    names = [field.encode_name for field in msgspec.structs.fields(config_type)]
    close = difflib.get_close_matches(unknown[1], names, n=1)
    return f'Did you mean "{close[0]}"?' if close else f"Known settings: {', '.join(names)}."

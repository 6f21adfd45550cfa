"""Validates a provider's config against the provider's JSON Schema, and reports every error with its path.

Supports the part of JSON Schema 2020-12 that config schemas use: type, properties, required, additionalProperties,
items, prefixItems, anyOf, oneOf, enum, const, $ref within the document, and the limits of strings, numbers, lists and
objects. It ignores other keywords; the provider validates its config at its start anyway.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dstream.config.blocks.provider_config import child_path
from dstream.config.hcl.problem import did_you_mean
from dstream.protocol.config_schema import referenced

Schema = Mapping[str, Any]

_LONGEST_LIST = 12
UNREAD = object()
"""A setting that is present but whose value is unknown."""
_LIMITS = (
    ("minimum", operator.ge, "at least"),
    ("maximum", operator.le, "at most"),
    ("exclusiveMinimum", operator.gt, "more than"),
    ("exclusiveMaximum", operator.lt, "less than"),
)
_NAMES = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One violation of the schema. `path` is inside the config: `tables[0]`."""

    path: str
    message: str
    hint: str = ""
    at_name: bool = False
    """Whether to point to the name of `path` instead of its value."""
    kind_differs: bool = False


def mismatches(config: Any, schema: Schema) -> list[Mismatch]:
    """Return all violations. Messages never contain values, which may be secret."""
    return list(_Document(schema).check(config, schema, ""))


def matches(value: Any, schema: Schema, document: Schema) -> bool:
    """Return whether a value inside a config matches a schema inside the document."""
    return next(_Document(document).check(value, schema, ""), None) is None


def resolve_reference(schema: Schema, document: Schema) -> Schema:
    """Return the schema that `$ref` refers to, merged with the siblings of `$ref` (allowed by 2020-12)."""
    seen: set[str] = set()
    schema = keywords_of(schema)
    while isinstance(reference := schema.get("$ref"), str) and reference[:1] == "#" and reference not in seen:
        seen.add(reference)
        target = referenced(reference, document)
        beside = {key: value for key, value in schema.items() if key not in ("$ref", "$defs")}
        schema = {**keywords_of(target), **beside}
    return schema


def keywords_of(schema: Any) -> Schema:
    """Return the schema. One that is only true or false counts as one without keywords: the provider checks it."""
    return schema if isinstance(schema, Mapping) else {}


class _Document:
    """A schema with its definitions."""

    def __init__(self, root: Schema) -> None:
        self._root = root

    def check(self, value: Any, schema: Schema, path: str) -> Iterator[Mismatch]:
        if value is UNREAD:
            return
        schema = resolve_reference(schema, self._root)
        alternatives = schema.get("anyOf") or schema.get("oneOf")
        if alternatives:
            yield from self._alternatives(value, alternatives, path)
            return
        wrong_kind = _kind(value, schema, path)
        if wrong_kind:
            yield wrong_kind
            return
        if isinstance(value, dict):
            yield from self._object(value, schema, path)
        elif isinstance(value, list):
            yield from self._list(value, schema, path)
        elif isinstance(value, str):
            yield from _text(value, schema, path)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield from _number(value, schema, path)

    def _alternatives(self, value: Any, alternatives: Sequence[Schema], path: str) -> Iterator[Mismatch]:
        """Yield nothing if a variant matches; otherwise the errors of the only variant of the value's kind, or an error
        that lists all kinds.
        """
        tried = [list(self.check(value, each, path)) for each in alternatives]
        if not all(tried):
            return
        of_its_kind = [found for found in tried if not any(each.kind_differs and each.path == path for each in found)]
        if len(of_its_kind) == 1:
            yield from of_its_kind[0]
            return
        allowed = _allowed([resolve_reference(each, self._root) for each in alternatives])
        yield Mismatch(path, f"{_subject(path)} must be {allowed}, not {_kind_of(value)}", kind_differs=True)

    def _object(self, value: dict[str, Any], schema: Schema, path: str) -> Iterator[Mismatch]:
        known: Mapping[str, Schema] = schema.get("properties", {})
        others = schema.get("additionalProperties", True)
        for name, inner in value.items():
            inner_path = child_path(path, name)
            if name in known:
                yield from self.check(inner, known[name], inner_path)
            elif others is False:
                hint = did_you_mean(name, known) or f"Known settings: {_listed(sorted(known))}."
                yield Mismatch(inner_path, f'unknown setting "{name}"', hint, at_name=True)
            elif isinstance(others, Mapping):
                yield from self.check(inner, others, inner_path)
        for name in schema.get("required", ()):
            if name not in value:
                hint = str(resolve_reference(known.get(name, {}), self._root).get("description", ""))
                yield Mismatch(path, f'the setting "{child_path(path, name)}" is missing', hint, at_name=True)
        yield from _size(len(value), schema, path, "Properties", "entries")

    def _list(self, value: list[Any], schema: Schema, path: str) -> Iterator[Mismatch]:
        first: Sequence[Schema] = schema.get("prefixItems", ())
        others = schema.get("items", True)
        for number, item in enumerate(value):
            of_item = first[number] if number < len(first) else others
            if isinstance(of_item, Mapping):
                yield from self.check(item, of_item, f"{path}[{number}]")
        yield from _size(len(value), schema, path, "Items", "elements")


def _kind(value: Any, schema: Schema, path: str) -> Mismatch | None:
    if "const" in schema or "enum" in schema:
        choices = [schema["const"]] if "const" in schema else list(schema["enum"])
        if any(type(value) is type(choice) and value == choice for choice in choices):
            return None
        texts = [choice for choice in choices if isinstance(choice, str)]
        hint = did_you_mean(value, texts) if isinstance(value, str) else ""
        listed = " or ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)
        differs = not any(_kind_of(value) == _kind_of(choice) for choice in choices)
        return Mismatch(path, f"{_subject(path)} must be {listed}", hint, kind_differs=differs)
    kinds = schema.get("type")
    if kinds is None:
        return None
    wanted = [kinds] if isinstance(kinds, str) else list(kinds)
    if any(_is_of(value, each) for each in wanted):
        return None
    allowed = " or ".join(_NAMES.get(each, each) for each in wanted)
    return Mismatch(path, f"{_subject(path)} must be {allowed}, not {_kind_of(value)}", kind_differs=True)


def _is_of(value: Any, kind: str) -> bool:
    match kind:
        case "integer":
            return _is_of(value, "number") and value % 1 == 0
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case "null":
            return value is None
    return True  # a type from a later JSON Schema version


def _text(value: str, schema: Schema, path: str) -> Iterator[Mismatch]:
    yield from _size(len(value), schema, path, "Length", "characters")
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and not _fits(pattern, value):
        examples = schema.get("examples")
        if examples:  # examples are clearer than a regular expression
            hint = f"Use e.g. {_listed([json.dumps(each) for each in examples])}."
            yield Mismatch(path, f"{_subject(path)} does not have the expected format", hint)
        else:
            yield Mismatch(path, f"{_subject(path)} does not match {pattern}", "")


def _fits(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return True  # ECMA-262 allows expressions that Python does not


def _number(value: float, schema: Schema, path: str) -> Iterator[Mismatch]:
    for keyword, holds, words in _LIMITS:
        limit = schema.get(keyword)
        if isinstance(limit, (int, float)) and not holds(value, limit):
            yield Mismatch(path, f"{_subject(path)} must be {words} {limit:,}")


def _size(size: int, schema: Schema, path: str, keyword: str, things: str) -> Iterator[Mismatch]:
    least, most = schema.get(f"min{keyword}"), schema.get(f"max{keyword}")
    if isinstance(least, int) and size < least:
        yield Mismatch(
            path, f"{_subject(path)} must not be empty" if least == 1 else _has(path, least, "least", things)
        )
    if isinstance(most, int) and size > most:
        yield Mismatch(path, _has(path, most, "most", things))


def _has(path: str, limit: int, which: str, things: str) -> str:
    return f"{_subject(path)} must have at {which} {limit:,} {things}"


def _allowed(schemas: Sequence[Schema]) -> str:
    words: list[str] = []
    for schema in schemas:
        kinds = schema.get("type", "string" if "enum" in schema or "const" in schema else "anything")
        words += [_NAMES.get(kind, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind != "null"]
    return " or ".join(dict.fromkeys(words)) or "null"


def _kind_of(value: Any) -> str:
    for kind in ("null", "boolean", "integer", "number", "string", "array", "object"):
        if _is_of(value, kind):
            return _NAMES[kind] if kind != "boolean" else ("true" if value else "false")
    return type(value).__name__


def _subject(path: str) -> str:
    return f'"{path}"' if path else "the config"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LONGEST_LIST
    return ", ".join(names[:_LONGEST_LIST]) + (f" and {more} more" if more > 0 else "")

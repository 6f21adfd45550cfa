"""Converts YAML to a value with the core schema of YAML 1.2.2 (section 10.3): `no` is text, `012` is twelve.

Imported on demand, because PyYAML is slow to import.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from dstream.config.values.values import NotConvertible, Value, to_number, to_text

_MOST_VALUES = 100_000
"""Each alias counts with everything it expands to: nine lines of aliases could fill memory."""

_DEEPEST = 100
_MOST_DIGITS = 300
"""Of an octal or hexadecimal number."""
_TAG = "tag:yaml.org,2002:"
_NULL = re.compile(r"(?:~|null|Null|NULL)?")
_BOOL = re.compile(r"(?:true|True|TRUE)|(?:false|False|FALSE)")
_WHOLE = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_BASES = {"0o": 8, "0x": 16}


_PLAIN = "!plain"
"""The tag of plain scalars without a tag, whose type follows from their text."""


class _Loader(yaml.BaseLoader):
    """Builds no values; this module does."""


_Loader.add_implicit_resolver(_PLAIN, re.compile(""), None)


class NotYaml(Exception):
    """Invalid YAML. The message names the place in the text and the reason."""


def decode(text: str) -> Value:
    """Return the only document in the text; null if there is none. Raises NotYaml."""
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        reason = error.problem or error.context or "cannot be parsed"
        mark = error.problem_mark or error.context_mark
        raise _failure(mark, reason) if mark else NotYaml(reason) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise NotYaml(str(error).partition("\n")[0]) from None
    return None if root is None else _value(root, iter(range(_MOST_VALUES)), 0)


def _value(node: yaml.Node, budget: Iterator[int], depth: int) -> Value:
    if next(budget, None) is None or depth > _DEEPEST:
        raise _failure(node.start_mark, f"more than {_MOST_VALUES:,} values, or nested more than {_DEEPEST} deep")
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
        return [_value(item, budget, depth + 1) for item in node.value]
    if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
        return _mapping(node, budget, depth)
    raise _unknown_tag(node)


def _mapping(node: yaml.MappingNode, budget: Iterator[int], depth: int) -> dict[str, Value]:
    own: dict[str, Value] = {}
    merged: dict[str, Value] = {}
    for key_node, value_node in node.value:
        value = _value(value_node, budget, depth + 1)
        if key_node.tag == _PLAIN and key_node.value == "<<":
            merged = {**_merge(value, value_node), **merged}
            continue
        key = _key(key_node)
        if key in own:
            raise _failure(key_node.start_mark, f'duplicate key "{key}"')
        own[key] = value
    return {**merged, **own}


def _merge(value: Value, node: yaml.Node) -> dict[str, Value]:
    """Merge `<<: *defaults`, or a list of mappings, of which the first wins."""
    found: dict[str, Value] = {}
    for each in reversed(value) if isinstance(value, list) else [value]:
        if not isinstance(each, dict):
            raise _failure(node.start_mark, "only mappings can be merged with <<")
        found.update(each)
    return found


def _key(node: yaml.Node) -> str:
    try:
        return to_text(_scalar(node) if isinstance(node, yaml.ScalarNode) else [])
    except NotConvertible as error:
        raise _failure(node.start_mark, f"{error} cannot be a key") from None


def _scalar(node: yaml.ScalarNode) -> Value:
    text: str = node.value
    kind = node.tag.removeprefix(_TAG)
    if kind in (_PLAIN, "null") and _NULL.fullmatch(text):
        return None
    if kind in (_PLAIN, "bool") and _BOOL.fullmatch(text):
        return text.lower() == "true"
    try:
        if kind in (_PLAIN, "int") and _WHOLE.fullmatch(text):
            return int(text, _BASES[text[:2]]) if text[:2] in _BASES and len(text) <= _MOST_DIGITS else to_number(text)
        if kind in (_PLAIN, "float") and _FLOAT.fullmatch(text):
            return to_number(text)
    except NotConvertible:
        raise _failure(node.start_mark, "this number is too large") from None
    if kind in (_PLAIN, "float") and _NO_NUMBER.fullmatch(text):
        raise _failure(node.start_mark, f"{text} is not allowed in a configuration")
    if kind in (_PLAIN, "str"):
        return text
    raise _unknown_tag(node)


def _unknown_tag(node: yaml.Node) -> NotYaml:
    return _failure(node.start_mark, f"{node.tag.replace(_TAG, '!!')} is unknown or invalid here")


def _failure(mark: yaml.Mark, reason: str) -> NotYaml:
    return NotYaml(f"line {mark.line + 1}, column {mark.column + 1}: {reason}")

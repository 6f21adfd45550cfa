"""The `config` of a provider: a block or map with arbitrary content, evaluated with the place of every part."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from dstream.config.blocks.complaints import Complaints
from dstream.config.blocks.written_settings import Written, written_settings
from dstream.config.hcl.problem import Problem, did_you_mean
from dstream.config.hcl.source import SourceFile
from dstream.config.hcl.syntax import Attribute, Block, Body, Expression, Literal, ObjectOf, TupleOf
from dstream.config.values.key_vault_secret import Unread
from dstream.config.values.names import MemberLookup
from dstream.config.values.scope import NamedValue, Scope
from dstream.config.values.sensitive import SensitiveMark, mark_of, marked, opened, revealed
from dstream.config.values.values import Value, kind
from dstream.errors import ConfigError, ConfigErrors, SourceLocation
from dstream.protocol.config_schema import ConfigPath

_PLAIN_KEY = re.compile(r"[^\W\d][\w-]*\Z")
_LARGEST = 2**64 - 1
_SMALLEST = -(2**63)


@dataclass(frozen=True, slots=True)
class Places:
    """The places of the names and values of a config, by path."""

    names: dict[str, SourceLocation] = field(default_factory=dict)
    values: dict[str, SourceLocation] = field(default_factory=dict)


class ProviderConfig:
    """One provider's config. Settings are evaluated one by one, so `task.a.output.config.queue` is available without
    the others. Settings whose value is null are omitted, as in Terraform."""

    def __init__(self, source: SourceFile, block: str, name: str, scope: Scope) -> None:
        """`name`: how expressions refer to it, `task.orders.output.config`."""
        self.places = Places()
        self.unread: frozenset[str] = frozenset()
        """Set by `whole`: names of settings whose value is unknown; "" if all are."""
        self.unset: dict[str, ConfigError | ConfigErrors] = {}
        """Set by `whole` with `defer_unset`: errors of the settings that need an unset environment variable."""
        self._source = source
        self._block = block
        self._name = name
        self._scope = scope
        self._settings: dict[str, NamedValue] = {}
        self._expression: NamedValue | None = None
        self._written: Written | None = None

    def read_block(self, body: Body, complaints: Complaints) -> None:
        """Read `config { ... }`."""
        for name, found in self._entries(body, complaints).items():
            path = child_path("", name)
            if isinstance(found, Attribute):
                self._set(name, found.at, found.value, path)
            else:
                self._define(name, found[0].at, lambda blocks=found, path=path: self._blocks(blocks, path))

    def read_map(self, attribute: Attribute, complaints: Complaints) -> None:
        """Read `config = ...`: setting by setting if it is a literal, otherwise as a whole."""
        value = attribute.value
        keys = [key for key, _ in value.items if isinstance(key, Literal)] if isinstance(value, ObjectOf) else []
        if isinstance(value, ObjectOf) and len(keys) == len(value.items):
            for key, item in value.items:
                assert isinstance(key, Literal)
                self._set_once(str(key.value), key.at, item, complaints)
            return
        place = self._source.place(value.at, self._block)
        self._written = self._source, value
        self._expression = self._scope.define(self._name, place, lambda: self._map(value))

    def member(self, name: str, at: int) -> Value | MemberLookup:
        if self._expression is not None:
            whole = self._whole_expression()
            if name in whole:
                value: Value = whole[name]
                return value
            known: Mapping[str, object] = whole
        else:
            if name in self._settings:
                return self._settings[name].value()
            known = self._settings
        raise Problem("config.undefined", f'unknown name "{name}" in {self._name}', at, did_you_mean(name, known))

    def whole(self, at: int = 0, *, defer_unset: bool = False) -> dict[str, Value]:
        """Return all settings. Raises ConfigErrors with every error. `defer_unset`: omit settings that need an unset
        environment variable, and keep their errors in `unset`."""
        definitions = self._settings
        if self._expression is not None:
            try:
                found = self._whole_expression()
            except Unread:
                self.unread = frozenset({""})
                return {}
            except (ConfigError, ConfigErrors) as error:
                if not defer_unset or not is_unset(error) or not (definitions := self._one_by_one()):
                    raise
            else:
                return _without_null(found)
        complaints = Complaints()
        settings: dict[str, Value] = {}
        for name, definition in definitions.items():
            with complaints.collecting():
                try:
                    settings[name] = definition.value()
                except Unread:
                    self.unread |= {name}
                except (ConfigError, ConfigErrors) as error:
                    if not defer_unset or not is_unset(error):
                        raise
                    self.unset[name] = error
        complaints.raise_if_any()
        return _without_null(settings)

    def _whole_expression(self) -> dict[str, Value]:
        """Return the value of `config = ...`. If it is sensitive as a whole, each setting is."""
        assert self._expression is not None
        found, mark = opened(self._expression.value())
        return {name: marked(value, mark) for name, value in found.items()}

    def _one_by_one(self) -> dict[str, NamedValue]:
        """Return the settings inside `config = local.common`; none if they cannot be told apart."""
        assert self._written is not None
        return {
            name: self._scope.define(
                f"{self._name}.{name}",
                source.place(expression.at, self._block),
                partial(self._evaluate, expression, child_path("", name), source),
            )
            for name, (source, expression) in (
                written_settings(self._written, self._scope.written_locals) or {}
            ).items()
        }

    def _set_once(self, name: str, at: int, expression: Expression, complaints: Complaints) -> None:
        if name in self._settings:
            complaints.add(self._duplicate(name, at, self._settings[name].place))
        else:
            self._set(name, at, expression, child_path("", name))

    def _set(self, name: str, at: int, expression: Expression, path: str) -> None:
        self._define(name, at, lambda: self._evaluate(expression, path))
        self._note(path, at, expression)

    def _define(self, name: str, at: int, compute: object) -> None:
        place = self._source.place(at, self._block)
        self._settings[name] = self._scope.define(f"{self._name}.{name}", place, compute)  # type: ignore[arg-type]
        self.places.names.setdefault(child_path("", name), place)

    def _evaluate(self, expression: Expression, path: str, source: SourceFile | None = None) -> Value:
        source = source or self._source
        value = self._scope.evaluate(source, expression, self._block)
        wrong = not_json(revealed(value))
        if wrong:
            place = source.place(expression.at, self._block)
            raise ConfigError("config.type", f"{path} {wrong}", place=place)
        return value

    def _map(self, expression: Expression) -> Value:
        value = self._evaluate(expression, "config")
        if not isinstance(opened(value)[0], dict):
            place = self._source.place(expression.at, self._block)
            raise ConfigError("config.type", f"config must be an object, not {kind(value)}", place=place)
        return value

    def _entries(self, body: Body, complaints: Complaints) -> dict[str, Attribute | list[Block]]:
        """Return, by name and in order, an attribute or the blocks of that name."""
        entries: dict[str, Attribute | list[Block]] = {}
        items: list[Attribute | Block] = [*body.attributes, *body.blocks]
        for item in sorted(items, key=lambda each: each.at):
            first = entries.get(item.name)
            if first is None:
                entries[item.name] = item if isinstance(item, Attribute) else [item]
            elif isinstance(first, list) and isinstance(item, Block):
                first.append(item)
            else:
                start = first[0].at if isinstance(first, list) else first.at
                complaints.add(self._duplicate(item.name, item.at, self._source.place(start)))
        return entries

    def _duplicate(self, name: str, at: int, first: SourceLocation) -> ConfigError:
        place = self._source.place(at, self._block)
        return ConfigError("config.duplicate", f'"{name}" is set twice (first at {first})', place=place)

    def _blocks(self, blocks: list[Block], path: str) -> Value:
        """Convert a block to an object, and several of the same name to a list of objects; labels become outer keys."""
        complaints = Complaints()
        unlabelled = next((block for block in blocks if not block.labels), None)
        if any(block.labels for block in blocks):
            if unlabelled is not None:
                place = self._source.place(unlabelled.at, self._block)
                message = f'this "{unlabelled.name}" block has no label, but another one has'
                raise ConfigError("config.label", message, place=place)
            value: Value = self._labelled(blocks, path, complaints)
        elif len(blocks) == 1:
            value = self._body(blocks[0], path, complaints)
        else:
            value = [self._body(block, f"{path}[{i}]", complaints) for i, block in enumerate(blocks)]
        complaints.raise_if_any()
        return value

    def _labelled(self, blocks: list[Block], path: str, complaints: Complaints) -> Value:
        result: dict[str, Value] = {}
        seen: dict[tuple[str, ...], Block] = {}
        for block in blocks:
            labels = tuple(label.text for label in block.labels)
            first = seen.setdefault(labels, block)
            clash = next((known for known in seen if known != labels and _begins(known, labels)), None)
            if first is not block or clash is not None:
                other = self._source.place((seen[clash] if clash is not None else first).at)
                complaints.add(self._duplicate(" ".join([block.name, *labels]), block.at, other))
                continue
            inner, inner_path = result, path
            for label in labels[:-1]:
                inner_path = child_path(inner_path, label)
                inner = inner.setdefault(label, {})  # type: ignore[assignment]  # never a body: _begins prevents that
            inner[labels[-1]] = self._body(block, child_path(inner_path, labels[-1]), complaints)
        return result

    def _body(self, block: Block, path: str, complaints: Complaints) -> Value:
        self.places.names.setdefault(path, self._source.place(block.at, self._block))
        result: dict[str, Value] = {}
        for name, found in self._entries(block.body, complaints).items():
            inner = child_path(path, name)
            with complaints.collecting():
                if isinstance(found, Attribute):
                    self._note(inner, found.at, found.value)
                    value = self._evaluate(found.value, inner)
                else:
                    value = self._blocks(found, inner)
                result[name] = value
        return _without_null(result)

    def _note(self, path: str, at: int, expression: Expression) -> None:
        """Record the places of a setting and of its literal parts."""
        self.places.names[path] = self._source.place(at, self._block)
        self.places.values[path] = self._source.place(expression.at, self._block)
        if isinstance(expression, TupleOf):
            for i, item in enumerate(expression.items):
                self._note(f"{path}[{i}]", item.at, item)
        elif isinstance(expression, ObjectOf):
            for key, item in expression.items:
                if isinstance(key, Literal):
                    self._note(child_path(path, str(key.value)), key.at, item)


def _without_null(settings: Mapping[str, Value]) -> dict[str, Value]:
    """Return the settings without those that are null."""
    return {name: value for name, value in settings.items() if opened(value)[0] is not None}


def sensitive_settings(value: Value, path: ConfigPath = ()) -> dict[ConfigPath, SensitiveMark]:
    """Return the marks of the sensitive values inside a config, by path."""
    inner, mark = opened(value)
    if mark is not None:
        whole = mark_of(value)
        assert whole is not None
        return {path: whole}
    found: dict[ConfigPath, SensitiveMark] = {}
    if isinstance(inner, list):
        for i, item in enumerate(inner):
            found |= sensitive_settings(item, (*path, i))
    elif isinstance(inner, dict):
        for name, item in inner.items():
            found |= sensitive_settings(item, (*path, name))
    return found


def child_path(path: str, name: str) -> str:
    """Return the path of a setting inside another."""
    if not _PLAIN_KEY.match(name):
        return f"{path}[{json.dumps(name, ensure_ascii=False)}]"
    return f"{path}.{name}" if path else name


def is_unset(error: ConfigError | ConfigErrors) -> bool:
    """Whether unset environment variables are the only cause."""
    return all(each.code == "config.env_unset" for each in error.errors)


def _begins(labels: tuple[str, ...], others: tuple[str, ...]) -> bool:
    """Whether one path is a prefix of the other, so that they cannot both be set."""
    shorter = min(len(labels), len(others))
    return labels[:shorter] == others[:shorter]


def not_json(value: Value) -> str:
    """Return why the value cannot be sent to a provider; empty if it can."""
    if isinstance(value, int) and not _SMALLEST <= value <= _LARGEST:
        return "is a number of more than 64 bits"
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return "is not valid Unicode"
    inner = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    return next((wrong for item in inner if (wrong := not_json(item))), "")

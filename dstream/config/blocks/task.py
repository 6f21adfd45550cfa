"""Reads `task` blocks: first what needs no evaluation, then the typed task."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dstream.config.blocks.body_reader import BodyReader
from dstream.config.blocks.provider_config import ProviderConfig, sensitive_settings
from dstream.config.blocks.transform import TransformReader
from dstream.config.hcl.syntax import Attribute, Block
from dstream.config.model import DEFAULT_START_TIMEOUT_S, ProviderBlock, Restart, Role, Task
from dstream.config.values.key_vault_secret import Unread
from dstream.config.values.names import MemberLookup
from dstream.config.values.scope import Group, NamedValue
from dstream.config.values.sensitive import opened, revealed
from dstream.config.values.values import Value, kind
from dstream.errors import ConfigError, SourceLocation
from dstream.protocol import DEFAULT_MAX_LINE

_WAYS_TO_NAME = ("provider", "provider_path", "provider_ref")
_TASK_TYPES = ("providers",)


@dataclass(frozen=True, slots=True)
class _Side:
    """A block that names a provider, before evaluation."""

    role: Role
    reader: BodyReader
    place: SourceLocation
    provider: dict[str, NamedValue]
    config: ProviderConfig


class TaskReader:
    """One task block. `namespace` is available to expressions immediately; `task()` evaluates the rest."""

    def __init__(self, name: str, block: Block, reader: BodyReader) -> None:
        self.name = name
        self._block = block
        self._reader = reader
        reader.check({"type", "max_line", "start_timeout"}, {"input", "output", "restart", "transform"})
        self._restart = reader.block_named("restart")
        self._input = self._side("input", reader.block_named("input"))
        self._output = self._side("output", reader.block_named("output"))
        blocks = [each for each in reader.body.blocks if each.name == "transform"]
        self._transforms = [TransformReader(each, reader) for each in blocks if each.labels]
        self._middle = self._side("transform", self._unlabelled(blocks))

    @property
    def namespace(self) -> MemberLookup:
        members: dict[str, Value | MemberLookup] = {"name": self.name}
        for side in (self._input, self._middle, self._output):
            if side is not None:
                members[side.role] = _namespace_of(side)
        return Group(f'attribute of task "{self.name}" called', members)

    def task(self, *, with_config: Collection[Role], defer_unset: bool = False) -> Task | None:
        """Return the typed task; None if an error makes it unusable. `with_config`: the roles whose config is
        evaluated; others stay empty. `defer_unset`: see `load`."""
        kind_of_task = self._type()
        max_line, start_timeout_s = self._reader.size("max_line"), self._reader.duration_s("start_timeout")
        restart = self._restart_policy()
        # Transforms belong to a run: commands that read only the output's config do not need them.
        evaluate = "input" in with_config
        transforms = [each.block(evaluate=evaluate, defer_unset=defer_unset) for each in self._transforms]
        blocks = [
            self._provider_block(side, evaluate if side.role == "transform" else side.role in with_config, defer_unset)
            for side in (self._input, self._middle, self._output)
            if side is not None
        ]
        complete = {block.role: block for block in blocks if block is not None}
        for role, side in (("input", self._input), ("output", self._output)):
            if side is None:
                hint = f"Add {role} {{ provider = ... }}."
                self._reader.complain("config.missing", f'task "{self.name}" has no {role} block', self._block.at, hint)
        if not {"input", "output"} <= complete.keys():
            return None
        return Task(
            name=self.name,
            type=kind_of_task,
            input=complete["input"],
            output=complete["output"],
            place=self._reader.source.place(self._block.at, self._reader.block),
            transform=complete.get("transform"),
            transforms=tuple(transforms),
            max_line=max_line if max_line is not None else DEFAULT_MAX_LINE,
            start_timeout_s=start_timeout_s if start_timeout_s is not None else DEFAULT_START_TIMEOUT_S,
            restart=restart,
        )

    def _unlabelled(self, blocks: Sequence[Block]) -> Block | None:
        """Return the `transform` block that names a provider; report a second one, and one after other transforms."""
        found = [block for block in blocks if not block.labels]
        for other in found[1:]:
            self._reader.duplicate("a task can have one transform provider", other.at, found[0].at)
        if found and found[0] is not blocks[0]:
            message = "rows pass through the transform provider before all other transforms"
            self._reader.complain("config.unsupported", message, found[0].at, "Move this block before them.")
        return found[0] if found else None

    def _side(self, role: Role, block: Block | None) -> _Side | None:
        if block is None:
            return None
        reader = self._reader.inner(block, f"{self._reader.block}, {role}")
        reader.check({*_WAYS_TO_NAME, "config", "env"}, {"config"})
        path = f"task.{self.name}.{role}"
        config = ProviderConfig(reader.source, reader.block, f"{path}.config", reader.scope)
        self._read_config(reader, config)
        provider = {}
        for way in _WAYS_TO_NAME:
            attribute = reader.attribute(way)
            if attribute is not None:
                provider[way] = _provider_name(reader, attribute, f"{path}.{way}")
        return _Side(role, reader, reader.source.place(block.at, reader.block), provider, config)

    def _read_config(self, reader: BodyReader, config: ProviderConfig) -> None:
        attribute, block = reader.attribute("config"), reader.block_named("config")
        if attribute is not None and block is not None:
            first, second = sorted((attribute.at, block.at))
            reader.duplicate('"config" is set twice', second, first)
        elif attribute is not None:
            config.read_map(attribute, reader.complaints)
        elif block is not None:
            config.read_block(block.body, reader.complaints)

    def _type(self) -> str:
        found = self._reader.text("type")
        attribute = self._reader.attribute("type")
        if found is not None and found not in _TASK_TYPES and attribute is not None:
            hint = 'The only type is "providers"; you can omit the attribute.'
            self._reader.complain("config.type", f'unknown task type "{found}"', attribute.value.at, hint)
        return _TASK_TYPES[0]

    def _restart_policy(self) -> Restart:
        if self._restart is None:
            return Restart()
        reader = self._reader.inner(self._restart, f"{self._reader.block}, restart")
        reader.check({"max_attempts", "initial_delay", "max_delay"}, ())
        attempts = reader.count("max_attempts")
        initial, longest = reader.duration_s("initial_delay"), reader.duration_s("max_delay")
        default = Restart()
        return Restart(
            max_attempts=default.max_attempts if attempts is None else attempts,
            initial_delay_s=default.initial_delay_s if initial is None else initial,
            max_delay_s=default.max_delay_s if longest is None else longest,
        )

    def _provider_block(self, side: _Side, with_config: bool, defer_unset: bool) -> ProviderBlock | None:
        names: dict[str, str] = {}
        for way, definition in side.provider.items():
            with side.reader.complaints.collecting():
                names[way] = str(revealed(definition.value()))
        if len(side.provider) != 1:
            self._complain_of_provider(side)
            names = {}
        config: dict[str, Value] = {}
        if with_config:
            with side.reader.complaints.collecting():
                config = side.config.whole(defer_unset=defer_unset)
        environ = self._environment(side.reader) if with_config else {}
        if not names:
            return None
        sensitive = sensitive_settings(config)
        if mark := side.reader.marks.get("env"):
            sensitive[("env",)] = mark
        return ProviderBlock(
            role=side.role,
            provider=names.get("provider"),
            provider_path=names.get("provider_path"),
            provider_ref=names.get("provider_ref"),
            place=side.place,
            config=revealed(config),
            config_places=side.config.places.names,
            config_value_places=side.config.places.values,
            environ=environ,
            secrets=frozenset().union(*(mark.secrets for mark in sensitive.values())),
            read={path: mark.read for path, mark in sensitive.items()},
            unread=side.config.unread,
            unset=side.config.unset,
        )

    def _environment(self, reader: BodyReader) -> dict[str, str]:
        """Return the variables in `env`; report names that no environment can have (environ(7))."""
        found, attribute = reader.text_map("env") or {}, reader.attribute("env")
        for name, value in found.items():
            if attribute is not None and (not name or "=" in name or "\0" in name + value):
                hint = "The name must not be empty or contain =, and neither name nor value a NUL character."
                reader.complain("config.type", f'invalid environment variable "{name}"', attribute.value.at, hint)
        return {**found}

    def _complain_of_provider(self, side: _Side) -> None:
        places = [str(definition.place) for definition in side.provider.values()]
        if not places:
            message = f"the {side.role} has no provider"
            hint = 'Add provider = "NAME", or provider_path = "./PROGRAM".'
            if side.role == "transform":
                hint += ' The other transforms have a label: transform "filter" { ... }.'
            error = ConfigError("config.missing", message, place=side.place, hint=hint)
        else:
            ways = " and ".join(side.provider)
            message = f"the {side.role} specifies its provider twice, by {ways} (first at {places[0]})"
            error = ConfigError("config.duplicate", message, place=list(side.provider.values())[1].place)
        side.reader.complaints.add(error)


def _namespace_of(side: _Side) -> MemberLookup:
    return Group(f"attribute of this {side.role} called", {**side.provider, "config": side.config})


def _provider_name(reader: BodyReader, attribute: Attribute, name: str) -> NamedValue:
    place = reader.source.place(attribute.at, reader.block)

    def compute() -> Value:
        try:
            whole = reader.evaluate(attribute)
            value, _ = opened(whole)
        except Unread:
            message = f"{attribute.name} cannot come from a key vault"
            raise ConfigError("config.type", message, place=place) from None
        if isinstance(value, str) and value.strip():
            return whole
        found = kind(value) if value != "" else "an empty string"
        value_place = reader.source.place(attribute.value.at, reader.block)
        raise ConfigError("config.type", f"{attribute.name} must be a string, not {found}", place=value_place)

    return reader.scope.define(name, place, compute)

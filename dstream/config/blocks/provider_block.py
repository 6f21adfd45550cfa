"""Reads a block that names a provider: first what needs no evaluation, then the typed block."""

from __future__ import annotations

from dstream.config.blocks.body_reader import BodyReader
from dstream.config.blocks.provider_config import ProviderConfig, sensitive_settings
from dstream.config.hcl.syntax import Attribute, Block
from dstream.config.model import ProviderBlock, Role
from dstream.config.values.key_vault_secret import Unread
from dstream.config.values.names import MemberLookup
from dstream.config.values.scope import Group, NamedValue
from dstream.config.values.sensitive import opened, revealed
from dstream.config.values.values import Value, kind
from dstream.errors import ConfigError

_WAYS_TO_NAME = ("provider", "provider_path", "provider_ref")


class ProviderBlockReader:
    """One block that names a provider. `namespace` is available to expressions immediately; `block()` evaluates the
    rest."""

    def __init__(self, role: Role, block: Block, reader: BodyReader, path: str, what: str = "") -> None:
        """`path`: how expressions refer to the block, `task.orders.output`. `what`: what it is called, if not by its
        role.
        """
        self.role = role
        self._what = what or role
        self._reader = reader
        self._place = reader.source.place(block.at, reader.block)
        reader.check({*_WAYS_TO_NAME, "config", "env"}, {"config"})
        self._config = ProviderConfig(reader.source, reader.block, f"{path}.config", reader.scope)
        self._read_config()
        self._provider: dict[str, NamedValue] = {}
        for way in _WAYS_TO_NAME:
            attribute = reader.attribute(way)
            if attribute is not None:
                self._provider[way] = _provider_name(reader, attribute, f"{path}.{way}")

    @property
    def namespace(self) -> MemberLookup:
        return Group(f"attribute of this {self.role} called", {**self._provider, "config": self._config})

    def block(self, *, with_config: bool, defer_unset: bool) -> ProviderBlock | None:
        """Return the typed block; None if an error makes it unusable. Without `with_config`, its config stays empty."""
        names: dict[str, str] = {}
        for way, definition in self._provider.items():
            with self._reader.complaints.collecting():
                names[way] = str(revealed(definition.value()))
        if len(self._provider) != 1:
            self._complain_of_provider()
            names = {}
        config: dict[str, Value] = {}
        if with_config:
            with self._reader.complaints.collecting():
                config = self._config.whole(defer_unset=defer_unset)
        environ = self._environment() if with_config else {}
        if not names:
            return None
        sensitive = sensitive_settings(config)
        if mark := self._reader.marks.get("env"):
            sensitive[("env",)] = mark
        return ProviderBlock(
            role=self.role,
            provider=names.get("provider"),
            provider_path=names.get("provider_path"),
            provider_ref=names.get("provider_ref"),
            place=self._place,
            config=revealed(config),
            config_places=self._config.places.names,
            config_value_places=self._config.places.values,
            environ=environ,
            secrets=frozenset().union(*(mark.secrets for mark in sensitive.values())),
            read={path: mark.read for path, mark in sensitive.items()},
            unread=self._config.unread,
            unset=self._config.unset,
        )

    def _read_config(self) -> None:
        reader, config = self._reader, self._config
        attribute, block = reader.attribute("config"), reader.block_named("config")
        if attribute is not None and block is not None:
            first, second = sorted((attribute.at, block.at))
            reader.duplicate('"config" is set twice', second, first)
        elif attribute is not None:
            config.read_map(attribute, reader.complaints)
        elif block is not None:
            config.read_block(block.body, reader.complaints)

    def _environment(self) -> dict[str, str]:
        """Return the variables in `env`; report names that no environment can have (environ(7))."""
        reader = self._reader
        found, attribute = reader.text_map("env") or {}, reader.attribute("env")
        for name, value in found.items():
            if attribute is not None and (not name or "=" in name or "\0" in name + value):
                hint = "The name must not be empty or contain =, and neither name nor value a NUL character."
                reader.complain("config.type", f'invalid environment variable "{name}"', attribute.value.at, hint)
        return {**found}

    def _complain_of_provider(self) -> None:
        places = [str(definition.place) for definition in self._provider.values()]
        if not places:
            message = f"the {self._what} has no provider"
            hint = 'Add provider = "NAME", or provider_path = "./PROGRAM".'
            if self.role == "transform":
                hint += ' The other transforms have a label: transform "filter" { ... }.'
            error = ConfigError("config.missing", message, place=self._place, hint=hint)
        else:
            ways = " and ".join(self._provider)
            message = f"the {self._what} specifies its provider twice, by {ways} (first at {places[0]})"
            error = ConfigError("config.duplicate", message, place=list(self._provider.values())[1].place)
        self._reader.complaints.add(error)


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

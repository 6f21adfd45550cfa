"""The provider under test: how to start it, and the dialogues shared by several checks."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import msgspec

from dstream.host.provider.spec import ProviderSpec
from dstream.kit.dialogue import Dialogue
from dstream.kit.limits import CheckLimits
from dstream.protocol import ENV_HEARTBEAT
from dstream.protocol.messages import UNREADABLE, Checkpoint, Description, Hello, Role, Stop

CANARY = "kit-canary-9b1f4c"
"""Replaces secrets in a config; must not appear in any output."""

_UNKNOWN_SETTING = "setting_that_no_provider_has"
_PLAIN_TYPES = ("string", "number", "integer", "boolean")
_HEARTBEAT_S = 0.5
_LEAST_SECRET = 6
_SECRET_NAMES = ("connection", "password", "secret", "token", "accountkey", "apikey")


class Violation(Exception):
    """The provider breaks a rule; the message explains how."""


class NotObservable(Exception):
    """A rule cannot be observed with this provider or config; the message explains why."""


@dataclass
class Subject:
    """A provider, its test config, and what is known about it so far."""

    spec: ProviderSpec
    role: Role | None = None
    """The role it must have; None for any."""
    limits: CheckLimits = field(default_factory=CheckLimits)
    lifecycle: bool = False
    """Whether it may create and delete what the config declares."""
    work_dir: str = ""
    """Where lifecycle commands keep their record; an absolute path."""
    environ: Mapping[str, str] = field(default_factory=lambda: {**os.environ, ENV_HEARTBEAT: str(_HEARTBEAT_S)})
    hello: Hello | None = None
    """Set by the first check."""
    dialogues: list[Dialogue] = field(default_factory=list)

    @property
    def config(self) -> Mapping[str, Any]:
        return self.spec.config

    @property
    def capabilities(self) -> Sequence[str]:
        return self.hello.capabilities if self.hello else ()

    def start(self) -> Dialogue:
        """Start it again. The transcript is kept for the checks that inspect all transcripts."""
        role: Role = self.hello.role if self.hello else self.role or "input"
        dialogue = Dialogue(role, self.spec, self.limits, environ=self.environ, secrets=self._secrets())
        self.dialogues.append(dialogue)
        return dialogue

    def greeted(self) -> Dialogue:
        """Start it and wait for its hello. Raises Violation."""
        dialogue = self.start()
        if not dialogue.wait_for(lambda record: record.first_line is not None, self.limits.hello_s):
            late = f"no line within {self.limits.hello_s:g} s"
            ending = "" if dialogue.exit_code is None else f"; {dialogue.ending()}"
            dialogue.finish()
            raise Violation(late + ending)
        return dialogue

    def running(self, *, config: Mapping[str, Any] | None = None, **more: Any) -> Dialogue:
        """Start it and wait until it is ready. Raises Violation if it is not ready in time."""
        dialogue = self.greeted()
        dialogue.ask("run", self.config if config is None else config, **more)
        answered = dialogue.wait_for(lambda record: record.status or record.error, self.limits.answer_s)
        status = dialogue.record.status
        if answered and status is not None and status.status == "ready":
            return dialogue
        dialogue.exits(self.limits.exit_s if dialogue.record.is_over else 0)
        reason = _why_not_ready(dialogue, self.limits)
        dialogue.finish()
        raise Violation(reason)

    @cached_property
    def description(self) -> Description:
        """The provider's description. Raises Violation."""
        with self.greeted() as dialogue:
            dialogue.ask("describe", {})
            dialogue.exits(self.limits.answer_s)
            dialogue.closes_stdout(self.limits.exit_s)
            for said in dialogue.record.said:
                if isinstance(said.message, Description):
                    if dialogue.exit_code != 0:
                        raise Violation(f"it must exit with 0 after its description; {dialogue.ending()}")
                    return said.message
            raise Violation(f"no description arrived; {dialogue.ending()}")

    @cached_property
    def streamed(self) -> Dialogue:
        """A complete run of an input: rows, acks, stop, end, exit. Raises Violation if it is not ready."""
        with self.running() as dialogue:
            collect(dialogue, self.limits)
            if not dialogue.record.end:
                dialogue.tell(Stop(int(self.limits.drain_s * 1000)))
                dialogue.wait_for(lambda record: record.end, self.limits.drain_s)
            dialogue.acknowledge()
            dialogue.close_stdin()
            dialogue.exits(self.limits.exit_s)
            dialogue.closes_stdout(self.limits.exit_s)
            return dialogue

    @cached_property
    def secret_config(self) -> dict[str, Any]:
        """The config with canaries for secrets: the schema's `writeOnly` settings, otherwise settings named like a
        secret."""
        names = list(self._secret_settings()) or ["password"]
        return {**self.config, **dict.fromkeys(names, CANARY)}

    def _secret_settings(self) -> Iterator[str]:
        if "describe" in self.capabilities:
            for name, inner in settings_in(self.description.config_schema).items():
                if any(each.get("writeOnly") for each in (inner, *inner.get("anyOf", ()))):
                    yield name
            return
        yield from (name for name, value in self.config.items() if isinstance(value, str) and is_named_secret(name))

    def _secrets(self) -> list[str]:
        """What must never be printed: the canary, and the secrets in the given config."""
        marked = set(self._secret_settings()) if "description" in self.__dict__ else set()  # already cached
        given = [
            value
            for name, value in self.config.items()
            if isinstance(value, str) and (name in marked or is_named_secret(name))
        ]
        return [CANARY, *(value for value in given if len(value) >= _LEAST_SECRET)]


def collect(dialogue: Dialogue, limits: CheckLimits) -> None:
    """Acknowledge an input's checkpoints until the input ends, three checkpoints cover rows, or no more arrive."""
    seen = -1
    while len(dialogue.record.checkpoints) > seen and not dialogue.record.end:
        seen = len(dialogue.record.checkpoints)
        if sum(covers_rows(each.message) for each in dialogue.record.checkpoints) >= 3:
            return
        dialogue.wait_for_checkpoint(seen, limits.rows_s)
        dialogue.acknowledge()


def covers_rows(message: object) -> bool:
    return isinstance(message, Checkpoint) and message.n > 0


def state_of(message: object) -> dict[str, Any]:
    """Return the state in an input's checkpoint; empty if invalid."""
    state = cast(Checkpoint, message).state
    try:
        decoded = msgspec.json.decode(state) if isinstance(state, msgspec.Raw) else None
    except UNREADABLE:
        decoded = None
    return decoded if isinstance(decoded, dict) else {}


def object_schema(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of the config itself, following a `$ref`."""
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    inner: Mapping[str, Any] = schema.get("$defs", {}).get(name, schema)
    return inner


def settings_in(schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the schemas of the config's settings, except those that are only true or false."""
    found = object_schema(schema).get("properties")
    settings = found.items() if isinstance(found, Mapping) else ()
    return {name: inner for name, inner in settings if isinstance(inner, Mapping)}


def invalid_config(subject: Subject) -> dict[str, Any]:
    """Return a config that the schema forbids: an unknown setting or, if any name is allowed, one of the wrong type."""
    wrong: dict[str, Any] = {_UNKNOWN_SETTING: 1}
    if "describe" in subject.capabilities:
        schema = subject.description.config_schema
        if object_schema(schema).get("additionalProperties") is not False:
            plain = (name for name, inner in settings_in(schema).items() if inner.get("type") in _PLAIN_TYPES)
            wrong = {name: {"of": "the wrong type"} for name in itertools.islice(plain, 1)}
    return {**subject.config, **wrong}


def changed_names(config: Mapping[str, Any], subject: Subject) -> str:
    """Return the names of the settings that differ from the subject's config, quoted."""
    return ", ".join(f'"{name}"' for name, value in config.items() if subject.config.get(name) != value)


def is_named_secret(name: str) -> bool:
    plain = name.replace("_", "").lower()
    return any(word in plain for word in _SECRET_NAMES)


def _why_not_ready(dialogue: Dialogue, limits: CheckLimits) -> str:
    status, error = dialogue.record.status, dialogue.record.error
    if status is not None:
        return f"it answers with an error: {status.error.message if status.error else status.message}"
    if error is not None:
        return f"it answers with an error: {error.message}"
    if dialogue.exit_code is not None:
        return f"no answer to line 1; {dialogue.ending()}"
    return f"no answer to line 1 within {limits.answer_s:g} s"

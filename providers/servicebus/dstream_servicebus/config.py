"""The provider's settings as users write them, and the rules for combining them.

Does not import azure, since it is imported before the provider's first line, and by `describe`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeVar

import msgspec
from dstream_stacks.entities import ORIGINAL_NAME, EntityKind, EntityNames
from dstream_stacks.naming import NameTemplate, is_entity_name
from msgspec import Meta

from dstream.sdk import Duration, Size, identifier, run_only
from dstream.sdk.errors import ConfigError
from dstream_servicebus.settings.dead_letters import (
    DeadLetterPlace,
    DeadLetterPolicy,
    OnError,
    OnErrorAction,
    dead_letter_policy,
)
from dstream_servicebus.settings.messages import MessageRules, MessageSettings, message_rules, parse_template

_T = TypeVar("_T")

_RUN_ONLY = run_only()
_IDENTIFIER = identifier()


class Batching(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How messages are batched into sends."""

    max_bytes: Annotated[Size | None, Meta(description="maximum bytes per send; default: the link's limit")] = None
    max_messages: Annotated[
        int, Meta(ge=1, le=4500, description="maximum messages per send; Standard accepts 4,500")
    ] = 4000
    linger: Annotated[Duration, Meta(description="how long an event waits to be batched")] = Duration("20ms")


class Retrying(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How long a send may take, and how long to wait before retries."""

    first_delay: Annotated[Duration, Meta(description="wait after the first failure; doubles with each retry")] = (
        Duration("200ms")
    )
    max_delay: Annotated[Duration, Meta(description="maximum wait")] = Duration("10s")
    server_busy_delay: Annotated[
        Duration, Meta(description="minimum wait after server-busy; doubles while nothing is accepted")
    ] = Duration("250ms")
    send_timeout: Annotated[
        Duration, Meta(description="after this long, plus 4s per MB, the outcome of a send counts as unknown")
    ] = Duration("30s")


class Config(MessageSettings, frozen=True, kw_only=True):
    """The output's `config` block."""

    queue: Annotated[
        str | None, Meta(description="a name, or a template, e.g. {source_database}-{table}"), _IDENTIFIER
    ] = None
    topic: Annotated[
        str | None, Meta(description="a name, or a template, e.g. {source_database}-{table}"), _IDENTIFIER
    ] = None
    source_host: Annotated[str | None, _IDENTIFIER] = None
    source_database: Annotated[str | None, _IDENTIFIER] = None
    tables: Annotated[
        list[str], Meta(description="tables whose entities are provisioned and checked at start"), _IDENTIFIER
    ] = msgspec.field(default_factory=list)

    batch: Annotated[Batching, _RUN_ONLY] = msgspec.field(default_factory=Batching)
    concurrency: Annotated[int, Meta(ge=1, le=64, description="maximum concurrent sends"), _RUN_ONLY] = 4
    retry: Annotated[Retrying, _RUN_ONLY] = msgspec.field(default_factory=Retrying)
    on_error: Annotated[OnError, _RUN_ONLY] = msgspec.field(default_factory=OnError)
    on_oversize: Annotated[OnErrorAction | None, Meta(description="older name of on_error.oversize"), _RUN_ONLY] = None
    dead_letter: Annotated[DeadLetterPlace | None, _RUN_ONLY] = None

    original_resource_group: Annotated[str | None, _IDENTIFIER] = msgspec.field(default=None, name="resourceGroup")
    original_source_host: Annotated[str | None, _IDENTIFIER] = msgspec.field(default=None, name="sourceHost")
    original_source_database: Annotated[str | None, _IDENTIFIER] = msgspec.field(default=None, name="sourceDatabase")


@dataclass(frozen=True, slots=True)
class Routing:
    """The settings that determine an event's entity and message."""

    names: EntityNames
    messages: MessageRules


def routing(config: Config) -> Routing:
    """Return the routing. Raises ConfigError for an invalid template, name or setting of messages."""
    return Routing(entity_names(config), message_rules(config))


def entity_names(config: Config) -> EntityNames:
    """Return the entities that the task publishes to; provisioning uses the same. Raises ConfigError."""
    source_host = either(config.source_host, config.original_source_host, "source_host", "sourceHost") or ""
    source_database = (
        either(config.source_database, config.original_source_database, "source_database", "sourceDatabase") or ""
    )
    kind, template, path = _entity_template(config, source_host, source_database)
    names = EntityNames(kind, template, source_host, source_database, tuple(config.tables))
    missing = {"source_host", "source_database"} & template.fields - names.source_fields().keys()
    if missing:
        raise ConfigError(
            "servicebus.name_incomplete",
            f'"{template.text}" needs {" and ".join(sorted(missing))}',
            hint=f"Set {' and '.join(sorted(missing))}.",
            config_path=path,
        )
    for name in names.known():
        if not is_entity_name(name):
            raise ConfigError(
                "servicebus.bad_entity_name",
                f'"{name}" is not a valid entity name',
                hint="Use at most 260 letters, digits and . - _ /, starting and ending with a letter or digit.",
                config_path=path,
            )
    return names


def dead_letters(config: Config) -> DeadLetterPolicy:
    """Return what to do with rows that cannot be delivered. Raises ConfigError for conflicting settings."""
    policy = dead_letter_policy(config.on_error, config.dead_letter, config.on_oversize)
    if policy.queue is not None and policy.queue.lower() in map(str.lower, entity_names(config).known()):
        raise ConfigError(
            "servicebus.bad_dead_letter",
            f'"{policy.queue}" is where the task publishes to; its dead letters need another queue',
            config_path="dead_letter.queue",
        )
    return policy


def _entity_template(config: Config, source_host: str, source_database: str) -> tuple[EntityKind, NameTemplate, str]:
    if config.queue is not None and config.topic is not None:
        raise ConfigError(
            "servicebus.two_entities",
            "queue and topic are both set; a task publishes to only one kind",
            config_path="topic",
        )
    if config.queue is not None:
        return "queue", parse_template(config.queue, "queue"), "queue"
    if config.topic is not None:
        return "topic", parse_template(config.topic, "topic"), "topic"
    if source_host and source_database:
        return "queue", ORIGINAL_NAME, "sourceHost"
    raise ConfigError(
        "servicebus.no_entity",
        "no queue or topic to publish to",
        hint='Set queue or topic (a name, or a template, e.g. "{source_database}-{table}"), '
        "or sourceHost and sourceDatabase as in the original DStream.",
        config_path="queue",
    )


def either(value: _T | None, original: _T | None, name: str, original_name: str) -> _T | None:
    """Return a setting, which may also be set by its original DStream name. Raises ConfigError if both are set."""
    if value is not None and original is not None:
        raise ConfigError(
            "servicebus.set_twice", f"{name} and {original_name} are the same setting; keep one", config_path=name
        )
    return value if value is not None else original

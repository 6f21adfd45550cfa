"""The provider's settings as users write them, and the rules for combining them.

Does not import azure, since it is imported before the provider's first line, and by `describe`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
from dstream_stacks.entities import ORIGINAL_NAME, EntityKind, EntityNames
from dstream_stacks.naming import NameTemplate, is_entity_name
from msgspec import Meta

from dstream.sdk import Duration, Secret, Size, run_only
from dstream.sdk.errors import ConfigError
from dstream_servicebus.settings.infrastructure import ServiceBusInfrastructure

MAX_TTL_S = 4_294_967
"""Limit of a message's time to live, which is sent as 32-bit milliseconds (AMQP 1.0, 3.2.1 `ttl`)."""

_ENDPOINT = re.compile(r"(?:^|;)\s*Endpoint=([^;]+)", re.IGNORECASE)
_T = TypeVar("_T")

_RUN_ONLY = run_only()
_RUN_ONLY_IN_ARM = run_only(mode="arm")
"""In mode entities, lifecycle commands need these too."""

Credential = Literal["default", "managed_identity", "workload_identity", "client_secret", "cli"]


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
    server_busy_delay: Annotated[Duration, Meta(description="minimum wait after server-busy")] = Duration("2s")
    send_timeout: Annotated[
        Duration, Meta(description="after this long, plus 4s per MB, the outcome of a send counts as unknown")
    ] = Duration("30s")


class DeadLetter(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where to keep events that are too large for a message."""

    file: Annotated[str, Meta(min_length=1, description="JSON Lines file; one line is appended per rejected event")]


class Config(ServiceBusInfrastructure, frozen=True, kw_only=True):
    """The output's `config` block."""

    connection_string: Annotated[
        Secret[str] | None, Meta(description="Endpoint=sb://..;SharedAccessKey.."), _RUN_ONLY_IN_ARM
    ] = None
    connection: Annotated[
        Literal["stack"] | None,
        Meta(description="stack: publish to what init provisioned, with its key or, with credential, with Entra ID"),
    ] = None
    output_secret: Annotated[
        str | None,
        Meta(description="azurekeyvault://VAULT/NAME: init writes the stack's connection string there, run reads it"),
    ] = None
    namespace: Annotated[
        str | None, Meta(description="short or full host name; where to publish without a connection string")
    ] = None
    credential: Annotated[Credential | None, Meta(description="how to sign in to Entra ID"), _RUN_ONLY_IN_ARM] = None
    tenant_id: Annotated[str | None, _RUN_ONLY_IN_ARM] = None
    client_id: Annotated[str | None, _RUN_ONLY_IN_ARM] = None
    client_secret: Annotated[Secret[str] | None, _RUN_ONLY_IN_ARM] = None
    admin_connection_string: Annotated[
        Secret[str] | None,
        Meta(description="for a separate administration endpoint (emulator, sandbox)"),
        _RUN_ONLY_IN_ARM,
    ] = None
    ca_file: Annotated[
        str | None, Meta(description="PEM file of the CA that signed the broker's certificate"), _RUN_ONLY_IN_ARM
    ] = None

    queue: Annotated[str | None, Meta(description="a name, or a template, e.g. {source_database}-{table}")] = None
    topic: Annotated[str | None, Meta(description="a name, or a template, e.g. {source_database}-{table}")] = None
    source_host: str | None = None
    source_database: str | None = None
    tables: Annotated[list[str], Meta(description="tables whose entities are provisioned and checked at start")] = (
        msgspec.field(default_factory=list)
    )

    body: Annotated[
        Literal["envelope", "data"], Meta(description="the whole event as received, or only its data"), _RUN_ONLY
    ] = "envelope"
    message_id: Annotated[str | None, Meta(description="template; default: the event's Id"), _RUN_ONLY] = None
    session: Annotated[str, Meta(description="none, table, key, or a template"), _RUN_ONLY] = "none"
    partition_key: Annotated[str | None, Meta(description="template"), _RUN_ONLY] = None
    subject: Annotated[str, Meta(description="template"), _RUN_ONLY] = "{TableName}"
    properties: Annotated[
        dict[str, str], Meta(description="application properties; values are templates"), _RUN_ONLY
    ] = msgspec.field(default_factory=dict)
    time_to_live: Annotated[Duration | None, _RUN_ONLY] = None

    batch: Annotated[Batching, _RUN_ONLY] = msgspec.field(default_factory=Batching)
    concurrency: Annotated[int, Meta(ge=1, le=64, description="maximum concurrent sends"), _RUN_ONLY] = 4
    retry: Annotated[Retrying, _RUN_ONLY] = msgspec.field(default_factory=Retrying)
    on_oversize: Annotated[
        Literal["fail", "dead_letter"],
        Meta(description="what to do with an event that is too large for a message"),
        _RUN_ONLY,
    ] = "fail"
    dead_letter: Annotated[DeadLetter | None, _RUN_ONLY] = None

    original_connection_string: Annotated[Secret[str] | None, _RUN_ONLY_IN_ARM] = msgspec.field(
        default=None, name="connectionString"
    )
    original_resource_group: str | None = msgspec.field(default=None, name="resourceGroup")
    original_source_host: str | None = msgspec.field(default=None, name="sourceHost")
    original_source_database: str | None = msgspec.field(default=None, name="sourceDatabase")


@dataclass(frozen=True, slots=True)
class Entra:
    """Credentials for Entra ID; empty fields come from the credential's environment."""

    namespace: str
    credential: Credential
    tenant_id: str
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Access:
    """How to connect to the namespace."""

    entry: Entra | str = field(repr=False)
    """Credentials for Entra ID, or a connection string."""
    admin_connection_string: str | None = field(repr=False)
    ca_file: str | None


@dataclass(frozen=True, slots=True)
class Routing:
    """The settings that determine an event's entity and message."""

    names: EntityNames
    body: Literal["envelope", "data"]
    message_id: NameTemplate | None
    session: NameTemplate | Literal["none", "key"]
    partition_key: NameTemplate | None
    subject: NameTemplate
    properties: tuple[tuple[str, NameTemplate], ...]
    ttl_s: int | None


def access(config: Config, stack: Mapping[str, Any] | None = None) -> Access:
    """Return how to connect. Raises ConfigError if the settings specify no connection, or more than one.

    `stack`: the outputs of the stack, for `connection = "stack"`.
    """
    connection_string = either(
        config.connection_string, config.original_connection_string, "connection_string", "connectionString"
    )
    if config.connection == "stack":
        _check_one_connection(connection_string)
        if publishes_with_key(config):
            connection_string = Secret(_stack_output(stack, "connection_string"))
        else:
            config = msgspec.structs.replace(config, namespace=_host(_stack_output(stack, "endpoint")))
    if connection_string is not None and config.credential is not None:
        raise ConfigError(
            "servicebus.two_credentials",
            "credential has no effect with connection_string, which contains a key",
            hint="Remove one of the two.",
            config_path="credential",
        )
    return Access(
        entry=connection_string.reveal() if connection_string is not None else _entra(config),
        admin_connection_string=config.admin_connection_string.reveal() if config.admin_connection_string else None,
        ca_file=config.ca_file,
    )


def publishes_with_key(config: Config) -> bool:
    """Whether `connection = "stack"` needs a key of the namespace, rather than a sign-in to Entra ID."""
    return config.connection == "stack" and config.credential is None and not config.disable_local_auth


def routing(config: Config) -> Routing:
    """Return the routing. Raises ConfigError for an invalid template or name."""
    session: NameTemplate | Literal["none", "key"]
    if config.session in ("none", "key"):
        session = "none" if config.session == "none" else "key"
    else:
        session = _template("{TableName}" if config.session == "table" else config.session, "session")
    return Routing(
        names=entity_names(config),
        body=config.body,
        message_id=_template(config.message_id, "message_id") if config.message_id is not None else None,
        session=session,
        partition_key=_template(config.partition_key, "partition_key") if config.partition_key is not None else None,
        subject=_template(config.subject, "subject"),
        properties=tuple((name, _template(text, f"properties.{name}")) for name, text in config.properties.items()),
        ttl_s=_ttl_s(config.time_to_live),
    )


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


def endpoint_of(connection_string: str) -> str:
    """Return the address in a connection string; "" if there is none."""
    match = _ENDPOINT.search(connection_string)
    return match[1].strip() if match else ""


def check_oversize(config: Config) -> None:
    """Raise ConfigError if on_oversize needs a dead-letter file and none is set."""
    if config.on_oversize == "dead_letter" and config.dead_letter is None:
        raise ConfigError(
            "servicebus.no_dead_letter",
            'on_oversize = "dead_letter" needs a file for the events',
            hint='Add dead_letter { file = "rejected.jsonl" }.',
            config_path="dead_letter",
        )


def _check_one_connection(connection_string: Secret[str] | None) -> None:
    if connection_string is not None:
        raise ConfigError(
            "servicebus.two_connections",
            'connection = "stack" and connection_string are both set',
            hint="Remove one of the two.",
            config_path="connection",
        )


def _stack_output(stack: Mapping[str, Any] | None, name: str) -> str:
    if stack is None or not stack.get(name):
        raise ConfigError(
            "servicebus.no_stack_connection",
            f'connection = "stack", but the stack has no {name.replace("_", " ")} yet',
            hint="Run `dstream init` first.",
            config_path="connection",
        )
    return str(stack[name])


def _host(endpoint: str) -> str:
    """`sb-orders.servicebus.windows.net` of `https://sb-orders.servicebus.windows.net:443/`."""
    return urlsplit(endpoint).hostname or ""


def _entra(config: Config) -> Entra:
    if config.namespace is None:
        raise ConfigError(
            "servicebus.no_connection",
            "no Service Bus to publish to: neither connection_string nor namespace is set",
            hint="Set connection_string, or namespace with a credential for Entra ID.",
            config_path="connection_string",
        )
    credential = config.credential or "default"
    if credential == "client_secret" and not (config.tenant_id and config.client_id and config.client_secret):
        raise ConfigError(
            "servicebus.incomplete_credential",
            'credential "client_secret" needs tenant_id, client_id and client_secret',
            config_path="credential",
        )
    return Entra(
        config.namespace,
        credential,
        config.tenant_id or "",
        config.client_id or "",
        config.client_secret.reveal() if config.client_secret else "",
    )


def _entity_template(config: Config, source_host: str, source_database: str) -> tuple[EntityKind, NameTemplate, str]:
    if config.queue is not None and config.topic is not None:
        raise ConfigError(
            "servicebus.two_entities",
            "queue and topic are both set; a task publishes to only one kind",
            config_path="topic",
        )
    if config.queue is not None:
        return "queue", _template(config.queue, "queue"), "queue"
    if config.topic is not None:
        return "topic", _template(config.topic, "topic"), "topic"
    if source_host and source_database:
        return "queue", ORIGINAL_NAME, "sourceHost"
    raise ConfigError(
        "servicebus.no_entity",
        "no queue or topic to publish to",
        hint='Set queue or topic (a name, or a template, e.g. "{source_database}-{table}"), '
        "or sourceHost and sourceDatabase as in the original DStream.",
        config_path="queue",
    )


def _template(text: str, path: str) -> NameTemplate:
    try:
        return NameTemplate(text)
    except ValueError as error:
        raise ConfigError("servicebus.bad_template", str(error), config_path=path) from error


def _ttl_s(time_to_live: Duration | None) -> int | None:
    if time_to_live is None:
        return None
    if not 1 <= time_to_live <= MAX_TTL_S:
        raise ConfigError(
            "servicebus.bad_time_to_live",
            "time_to_live must be between 1 second and 49 days",
            hint="Remove it to use the entity's default.",
            config_path="time_to_live",
        )
    return int(time_to_live)


def either(value: _T | None, original: _T | None, name: str, original_name: str) -> _T | None:
    """Return a setting, which may also be set by its original DStream name. Raises ConfigError if both are set."""
    if value is not None and original is not None:
        raise ConfigError(
            "servicebus.set_twice", f"{name} and {original_name} are the same setting; keep one", config_path=name
        )
    return value if value is not None else original

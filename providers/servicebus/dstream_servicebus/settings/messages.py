"""The settings that determine what a message contains, and their typed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from dstream_stacks.naming import NameTemplate
from msgspec import Meta

from dstream.sdk import Duration, run_only
from dstream.sdk.errors import ConfigError
from dstream_servicebus.settings.connection import ServiceBusConnection

MAX_TTL_S = 4_294_967
"""Limit of a message's time to live, which is sent as 32-bit milliseconds (AMQP 1.0, 3.2.1 `ttl`)."""

_RUN_ONLY = run_only()

Body = Literal["envelope", "data"]


class MessageSettings(ServiceBusConnection, frozen=True, kw_only=True):
    """The part of the output's `config` block that describes messages.

    Adds to the connection's settings, because msgspec allows only one base class.
    """

    body: Annotated[Body, Meta(description="the whole event as received, or only its data"), _RUN_ONLY] = "envelope"
    message_id: Annotated[str | None, Meta(description="template; default: the event's Id"), _RUN_ONLY] = None
    session: Annotated[str, Meta(description="none, table, key, or a template"), _RUN_ONLY] = "none"
    partition_key: Annotated[str | None, Meta(description="template"), _RUN_ONLY] = None
    subject: Annotated[str, Meta(description="template"), _RUN_ONLY] = "{TableName}"
    properties: Annotated[
        dict[str, str], Meta(description="application properties; values are templates"), _RUN_ONLY
    ] = msgspec.field(default_factory=dict)
    time_to_live: Annotated[Duration | None, _RUN_ONLY] = None


@dataclass(frozen=True, slots=True)
class MessageRules:
    """How an event becomes a message."""

    body: Body
    message_id: NameTemplate | None
    session: NameTemplate | Literal["none", "key"]
    partition_key: NameTemplate | None
    subject: NameTemplate
    properties: tuple[tuple[str, NameTemplate], ...]
    ttl_s: int | None


def message_rules(settings: MessageSettings) -> MessageRules:
    """Return the typed settings. Raises ConfigError for an invalid one."""
    session: NameTemplate | Literal["none", "key"]
    if settings.session in ("none", "key"):
        session = "none" if settings.session == "none" else "key"
    else:
        session = parse_template("{TableName}" if settings.session == "table" else settings.session, "session")
    return MessageRules(
        body=settings.body,
        message_id=_optional(settings.message_id, "message_id"),
        session=session,
        partition_key=_optional(settings.partition_key, "partition_key"),
        subject=parse_template(settings.subject, "subject"),
        properties=tuple(
            (name, parse_template(text, f"properties.{name}")) for name, text in settings.properties.items()
        ),
        ttl_s=_ttl_s(settings.time_to_live),
    )


def parse_template(text: str, path: str) -> NameTemplate:
    """Parse a template. `path`: its setting. Raises ConfigError."""
    try:
        return NameTemplate(text)
    except ValueError as error:
        raise ConfigError("servicebus.bad_template", str(error), config_path=path) from error


def _optional(text: str | None, path: str) -> NameTemplate | None:
    return None if text is None else parse_template(text, path)


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

"""The settings that determine what a message contains, and their typed form."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from dstream_stacks.naming import NameTemplate
from msgspec import Meta

from dstream.sdk import Size, run_only
from dstream.sdk.errors import ConfigError
from dstream_servicebus.settings.connection import ServiceBusConnection
from dstream_servicebus.settings.timing import delivery_time, ttl_s

TIMING_HINTS = {
    "time_to_live": 'Use a duration such as "1h"; after a field, write its unit: "{data.Minutes}m".',
    "scheduled": 'Use a time or a delay; after a field with a delay, write its unit: "{data.Minutes}m".',
}

REPEATS_IN_PACKS = (
    "after a crash, rows can be packed differently: duplicate detection then keeps repeated rows, "
    "and consumers must drop them by row id"
)

_RUN_ONLY = run_only()

_URI_TEXT = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")
"""The characters of a URI reference (RFC 3986)."""

Body = Literal["envelope", "data", "cloudevents"]


class CloudEvents(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The attributes of CloudEvents that an event does not have."""

    source: Annotated[str, Meta(description="template of a URI reference, e.g. //sql01/Shop")]
    type: Annotated[str, Meta(description="template")] = "{TableName}.{OperationType}"
    mode: Annotated[
        Literal["structured", "binary"], Meta(description="attributes in the body, or in application properties")
    ] = "structured"


class Packing(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How rows are packed into messages."""

    rows_per_message: Annotated[int, Meta(ge=1, le=1000, description="maximum rows per message")]
    format: Annotated[Literal["ndjson", "array"], Meta(description="one row per line, or a JSON array of rows")] = (
        "ndjson"
    )


class MessageSettings(ServiceBusConnection, frozen=True, kw_only=True):
    """The part of the output's `config` block that describes messages.

    Adds to the connection's settings, because msgspec allows only one base class.
    """

    body: Annotated[
        Body, Meta(description="the whole event as received, only its data, or a CloudEvent"), _RUN_ONLY
    ] = "envelope"
    cloudevents: Annotated[CloudEvents | None, Meta(description='for body = "cloudevents"'), _RUN_ONLY] = None
    message_id: Annotated[str | None, Meta(description="template; default: the event's Id"), _RUN_ONLY] = None
    session: Annotated[str, Meta(description="none, table, key, or a template"), _RUN_ONLY] = "none"
    partition_key: Annotated[str | None, Meta(description="template"), _RUN_ONLY] = None
    subject: Annotated[str, Meta(description="template"), _RUN_ONLY] = "{TableName}"
    properties: Annotated[
        dict[str, str], Meta(description="application properties; values are templates"), _RUN_ONLY
    ] = msgspec.field(default_factory=dict)
    time_to_live: Annotated[
        str | float | None, Meta(description="a duration, or a template of one, e.g. {data.Minutes}m"), _RUN_ONLY
    ] = None
    scheduled: Annotated[
        str | None,
        Meta(description="when to deliver: a delay, or a template of a delay or time, e.g. {data.SendAt}"),
        _RUN_ONLY,
    ] = None
    packing: Annotated[Packing | None, Meta(description="several rows per message"), _RUN_ONLY] = None
    compression: Annotated[Literal["gzip"] | None, Meta(description="how to compress bodies"), _RUN_ONLY] = None
    compression_threshold: Annotated[
        Size, Meta(description="bodies with fewer bytes are not compressed"), _RUN_ONLY
    ] = Size("1KiB")


@dataclass(frozen=True, slots=True)
class CloudEventRules:
    """How an event becomes a CloudEvent."""

    source: NameTemplate
    type: NameTemplate
    mode: Literal["structured", "binary"]


@dataclass(frozen=True, slots=True)
class MessageRules:
    """How an event becomes a message."""

    body: Body
    cloud_events: CloudEventRules | None
    message_id: NameTemplate | None
    session: NameTemplate | Literal["none", "key"]
    partition_key: NameTemplate | None
    subject: NameTemplate
    properties: tuple[tuple[str, NameTemplate], ...]
    time_to_live: NameTemplate | None
    scheduled: NameTemplate | None

    @property
    def have_partition_keys(self) -> bool:
        """Whether a session or partition key determines the partition of each message."""
        return self.session != "none" or self.partition_key is not None


def message_rules(settings: MessageSettings) -> MessageRules:
    """Return the typed settings. Raises ConfigError for an invalid one."""
    _check_packing(settings)
    session: NameTemplate | Literal["none", "key"]
    if settings.session in ("none", "key"):
        session = "none" if settings.session == "none" else "key"
    else:
        session = parse_template("{TableName}" if settings.session == "table" else settings.session, "session")
    return MessageRules(
        body=settings.body,
        cloud_events=_cloud_events(settings),
        message_id=_optional(settings.message_id, "message_id"),
        session=session,
        partition_key=_optional(settings.partition_key, "partition_key"),
        subject=parse_template(settings.subject, "subject"),
        properties=tuple(
            (name, parse_template(text, f"properties.{name}")) for name, text in settings.properties.items()
        ),
        time_to_live=_timing(_duration_text(settings.time_to_live), "time_to_live", ttl_s),
        scheduled=_timing(settings.scheduled, "scheduled", delivery_time),
    )


def parse_template(text: str, path: str) -> NameTemplate:
    """Parse a template. `path`: its setting. Raises ConfigError."""
    try:
        return NameTemplate(text)
    except ValueError as error:
        raise ConfigError("servicebus.bad_template", str(error), config_path=path) from error


def _cloud_events(settings: MessageSettings) -> CloudEventRules | None:
    given = settings.cloudevents
    if settings.body != "cloudevents":
        if given is not None:
            raise ConfigError(
                "servicebus.unused_setting",
                f'cloudevents has no effect with body = "{settings.body}"',
                hint='Remove it, or set body = "cloudevents".',
                config_path="cloudevents",
            )
        return None
    if given is None:
        raise ConfigError(
            "servicebus.no_source",
            'body = "cloudevents" needs the source of the events',
            hint='Add cloudevents { source = "//sql01/Shop" }: a URI reference that identifies the database.',
            config_path="cloudevents",
        )
    source = parse_template(given.source, "cloudevents.source")
    literal = source.render(dict.fromkeys(source.fields, ""))
    if not given.source or not _URI_TEXT.fullmatch(literal):
        raise ConfigError(
            "servicebus.bad_source",
            f'"{given.source}" is not a URI reference',
            hint='Use e.g. "//sql01/Shop"; percent-encode other characters. The values of fields are encoded for you.',
            config_path="cloudevents.source",
        )
    return CloudEventRules(source, parse_template(given.type, "cloudevents.type"), given.mode)


def _check_packing(settings: MessageSettings) -> None:
    if settings.packing is None:
        return
    if settings.body == "data" or (settings.cloudevents is not None and settings.cloudevents.mode == "binary"):
        raise ConfigError(
            "servicebus.no_row_ids",
            "packing needs the id of each row in the body, so that consumers can drop repeated rows",
            hint='Use body = "envelope", or CloudEvents in structured mode.',
            config_path="packing",
        )


def _optional(text: str | None, path: str) -> NameTemplate | None:
    return None if text is None else parse_template(text, path)


def _timing(text: str | None, path: str, parse: Callable[[str], object]) -> NameTemplate | None:
    """Parse the template of a time. One without fields is checked now, others with each event."""
    if text is None:
        return None
    found = parse_template(text, path)
    if not found.fields:
        try:
            parse(text)
        except ValueError as error:
            raise ConfigError(
                "servicebus.bad_schedule" if path == "scheduled" else "servicebus.bad_time_to_live",
                f"{path}: {error}",
                hint=TIMING_HINTS[path],
                config_path=path,
            ) from error
    return found


def _duration_text(value: str | float | None) -> str | None:
    """A bare number is milliseconds, as in all durations."""
    return value if value is None or isinstance(value, str) else f"{value}ms"

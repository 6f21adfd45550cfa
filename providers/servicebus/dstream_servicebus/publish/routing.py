"""Maps an event's line to its entity, lane and message.

Only what the settings use is decoded (`fields.py`). The result is cached per combination of values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from dstream_stacks.naming import NameTemplate, is_entity_name

from dstream.sdk.errors import DataError
from dstream_servicebus.config import Routing
from dstream_servicebus.publish import cloud_events
from dstream_servicebus.publish.encoder import Encoder, Head
from dstream_servicebus.publish.fields import Columns, TemplateFields, text_of
from dstream_servicebus.publish.header_limits import check_header, has_room_for_trace
from dstream_servicebus.publish.lanes import LaneKey
from dstream_servicebus.publish.message import Message, is_id
from dstream_servicebus.settings.messages import TIMING_HINTS
from dstream_servicebus.settings.timing import delivery_time, ttl_s

REMEMBERED = 10_000
"""Maximum cached combinations of values; a template with a per-event field has one per event."""

_TimingT = TypeVar("_TimingT")
_DIGEST_CHARS = 32
_SHOWN = 80
_CONTENT_TYPE = "application/json"

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a row that is not JSON, not UTF-8, nested too deeply, or has the wrong shape."""

_decode_data = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True)
class _Target:
    lane: LaneKey
    encoder: Encoder
    origin: tuple[str, str] | None
    """The source and type of a CloudEvent."""
    types: tuple[type, ...] | None
    """Of the metadata that determines it; None if it is text. 1, 1.0 and true are equal, but not as text."""


class Router:
    """Maps lines to messages. `route` is pure: the same line always gives the same message, with the same id."""

    def __init__(self, routing: Routing) -> None:
        rules = routing.messages
        self._names = routing.names
        self._rules = rules
        self._fields = TemplateFields(
            [*sorted(_target_fields(routing)), *(rules.message_id.fields if rules.message_id else ())],
            routing.names.source_fields(),
        )
        keyed = TemplateFields(_target_fields(routing), routing.names.source_fields())
        keys = sorted(keyed.metadata_keys)
        self._values: Callable[[Any], Any] = attrgetter(*keys) if keys else lambda _: None
        self._keyed_columns = keyed.column_count
        self._has_columns = self._fields.column_count > 0
        self._has_key_sessions = rules.session == "key"
        self._sends_lines = rules.body == "envelope"
        read = {*self._fields.metadata_keys, *(("Key", "TableName") if self._has_key_sessions else ())}
        needs_data = not self._sends_lines or self._has_key_sessions or self._has_columns
        self._decode = _envelope_decoder(read, needs_data=needs_data)
        self._no_metadata = self._decode(b'{"metadata":{}}').metadata
        self._targets: dict[Any, _Target] = {}
        self._spellings = {name.lower(): name for name in routing.names.known()}
        """Of each entity, the one that all of its events use: its name is not case-sensitive, and it has one lane."""

    def route(self, line: bytes, message_id: str = "", traceparent: str = "") -> tuple[LaneKey, Message]:
        """Return a line's lane and message. Raises DataError if the line is invalid or lacks a required field.

        `message_id`: the id to use instead of the one that the settings give, for a line that is sent again.
        `traceparent`: the message's trace context, which has no influence on anything else.
        """
        try:
            envelope = self._decode(line)
            metadata = envelope.metadata or self._no_metadata
            columns = self._fields.columns(envelope.data) if self._has_columns else ()
            session = self._key_session(metadata, envelope.data) if self._has_key_sessions else None
        except _UNREADABLE as error:
            raise _bad_line(line, error) from error
        target = self._target(metadata, columns, session)
        event_id = message_id or self._id(metadata, columns, line)
        if target.origin is not None:
            encoder, body = self._cloud_event(target, target.origin, event_id, line, _data(envelope.data, line))
        else:
            encoder, body = target.encoder, line if self._sends_lines else _data(envelope.data, line)
        if traceparent and not has_room_for_trace(encoder):
            traceparent = ""
        return target.lane, Message.of(encoder, event_id, body, line, (), traceparent)

    def id_of(self, line: bytes) -> str:
        """Return the message id of a line, even if it is not a valid event."""
        try:
            envelope = self._decode(line)
            columns = self._fields.columns(envelope.data) if self._has_columns else ()
        except _UNREADABLE:
            return _stable_id(None, line)
        return self._id(envelope.metadata or self._no_metadata, columns, line)

    def _id(self, metadata: Any, columns: Columns, line: bytes) -> str:
        template = self._rules.message_id
        given = metadata.Id if template is None else self._fields.render(template, metadata, columns)
        if type(given) is str and given and is_id(given):
            return given
        return _stable_id(given, line)

    def _cloud_event(
        self, target: _Target, origin: tuple[str, str], event_id: str, line: bytes, data: bytes
    ) -> tuple[Encoder, bytes]:
        """Return the message's head and body."""
        try:
            metadata = cloud_events.metadata_of(line)
        except _UNREADABLE as error:
            raise _bad_line(line, error) from error
        head = target.encoder.head
        found = cloud_events.attributes(event_id, *origin, head.subject, metadata)
        if head.content_type == cloud_events.MEDIA_TYPE:
            return target.encoder, cloud_events.structured(found, data)
        encoder = Encoder(replace(head, properties=head.properties + cloud_events.properties(found)))
        check_header(encoder)
        return encoder, data

    def _target(self, metadata: Any, columns: Columns, session: str | None) -> _Target:
        values = (self._values(metadata), columns[: self._keyed_columns], session)
        try:
            target = self._targets.get(values)
        except TypeError:  # a list or an object among the values is not hashable
            return self._new_target(metadata, columns, session)
        if target is None or (target.types is not None and target.types != _types_of(values[0])):
            target = self._new_target(metadata, columns, session)
            if len(self._targets) >= REMEMBERED:
                self._targets.clear()
            self._targets[values] = target
        return target

    def _new_target(self, metadata: Any, columns: Columns, session: str | None) -> _Target:
        rules, names = self._rules, self._names

        def required(template: NameTemplate, setting: str) -> str:
            return self._required(template, metadata, columns, setting)

        if isinstance(rules.session, NameTemplate):
            session = _short(required(rules.session, "session"))
        partition_key = None
        if rules.partition_key is not None:
            partition_key = _short(required(rules.partition_key, "partition_key"))
        if session and partition_key and session != partition_key:
            raise DataError(
                "servicebus.two_partitions",
                f'an event has session "{session}" and partition key "{partition_key}"; they must be equal',
                hint="Remove partition_key: the session id determines the partition.",
                config_path="partition_key",
            )
        rendered = ((name, self._fields.render(template, metadata, columns)) for name, template in rules.properties)
        events = rules.cloud_events
        head = Head(
            cloud_events.MEDIA_TYPE if events and events.mode == "structured" else _CONTENT_TYPE,
            session_id=session or None,
            partition_key=partition_key or None,
            subject=self._fields.render(rules.subject, metadata, columns),
            properties=tuple((name, value) for name, value in rendered if value is not None),
            ttl_s=self._timing(rules.time_to_live, metadata, columns, "time_to_live", ttl_s),
            scheduled=self._timing(rules.scheduled, metadata, columns, "scheduled", delivery_time),
        )
        entity = required(names.name, names.kind)
        if not is_entity_name(entity):
            raise DataError(
                "servicebus.bad_entity_name",
                f'an event belongs to {names.kind} "{entity}", which is not a valid name',
                hint=f"Correct the template in {names.kind}, or keep such events with on_error "
                '{ refused = "dead_letter" }.',
                config_path=names.kind,
            )
        origin = None
        if events is not None:
            source = self._required(events.source, metadata, columns, "cloudevents.source", escape=_escaped)
            origin = (source, required(events.type, "cloudevents.type"))
        encoder = Encoder(head)
        check_header(encoder)
        lane = LaneKey(self._spellings.setdefault(entity.lower(), entity), head.session_id, head.partition_key)
        types = _types_of(self._values(metadata))
        return _Target(lane, encoder, origin, types if set(types) - {str, type(None)} else None)

    def _key_session(self, metadata: Any, data: msgspec.Raw) -> str:
        """Return the table and key values, so that the changes of a row stay in order."""
        key = metadata.Key
        values = _decode_data(data) if data else {}
        if not isinstance(key, list) or not all(name in values for name in key):
            raise DataError(
                "servicebus.no_key",
                'session = "key" needs the columns listed in metadata.Key, but an event lacks them',
                hint='Use session = "table" for tables without a key.',
                config_path="session",
            )
        return _short("/".join([text_of(metadata.TableName) or "", *(text_of(values[name]) or "" for name in key)]))

    def _timing(
        self,
        template: NameTemplate | None,
        metadata: Any,
        columns: Columns,
        setting: str,
        parse: Callable[[str], _TimingT],
    ) -> _TimingT | None:
        """Return a time; None if it is not set or the event lacks a field."""
        text = None if template is None else self._fields.render(template, metadata, columns)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            raise DataError(
                "servicebus.bad_schedule" if setting == "scheduled" else "servicebus.bad_time_to_live",
                f"{setting} of an event: {error}",
                hint=TIMING_HINTS[setting],
                config_path=setting,
            ) from error

    def _required(
        self,
        template: NameTemplate,
        metadata: Any,
        columns: Columns,
        setting: str,
        escape: Callable[[str], str] = str,
    ) -> str:
        text = self._fields.render(template, metadata, columns, escape)
        if not text:
            raise DataError(
                "servicebus.field_missing",
                f'{setting} = "{template.text}" needs a field that an event does not have',
                hint="Use only metadata that the input provides, and columns that are never NULL.",
                config_path=setting,
            )
        return text


def _types_of(values: Any) -> tuple[type, ...]:
    """Of what an attrgetter returned: a tuple, or the value of its only attribute."""
    return tuple(map(type, values)) if isinstance(values, tuple) else (type(values),)


def _target_fields(routing: Routing) -> set[str]:
    """The fields that determine an event's target: all except those of its id."""
    rules = routing.messages
    templates = [routing.names.name, rules.subject, *(template for _, template in rules.properties)]
    optional = (rules.partition_key, rules.session, rules.time_to_live, rules.scheduled)
    templates += [each for each in optional if isinstance(each, NameTemplate)]
    if rules.cloud_events is not None:
        templates += [rules.cloud_events.source, rules.cloud_events.type]
    return {name for template in templates for name in template.fields}


def _escaped(value: str) -> str:
    """Percent-encode a value for a URI (RFC 3986)."""
    return quote(value, safe="")


def _envelope_decoder(fields: Iterable[str], *, needs_data: bool) -> Callable[[bytes], Any]:
    names = sorted({"Id", *fields})
    metadata = msgspec.defstruct("Metadata", [(name, Any, None) for name in names], frozen=True, gc=False)
    shape: list[tuple[str, Any, Any]] = [("metadata", metadata | None, None)]
    if needs_data:
        shape.append(("data", msgspec.Raw, msgspec.Raw(b"")))
    return msgspec.json.Decoder(msgspec.defstruct("Envelope", shape, gc=False)).decode


def _start(line: bytes) -> str:
    """Return the start of a line, for an error."""
    text = line.decode("utf-8", "replace")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}.."


def _bad_line(line: bytes, error: Exception) -> DataError:
    return DataError("servicebus.bad_line", f"a line from the input is not a valid event: {error}: {_start(line)}")


def _data(data: msgspec.Raw, line: bytes) -> bytes:
    if not data:
        raise DataError("servicebus.no_data", f'an event has no "data" to send: {_start(line)}')
    return bytes(data)


def _stable_id(given: object, line: bytes) -> str:
    """Return the given id, a hash of it if it is too long, or a hash of the line's bytes if there is none."""
    text = text_of(given)
    return _short(text) if text else hashlib.sha256(line).hexdigest()[:_DIGEST_CHARS]


def _short(text: str) -> str:
    """Return the text, or a hash of it if it is longer than an id may be."""
    return text if is_id(text) else hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARS]

"""Maps an event's line to its entity, lane and message.

Only the metadata that the settings use is decoded; msgspec skips the rest. The result is cached per combination of
metadata values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec
from dstream_stacks.naming import NameTemplate, is_entity_name, kebab_table

from dstream.sdk.errors import DataError
from dstream_servicebus.config import Routing
from dstream_servicebus.publish.encoder import Encoder, Head
from dstream_servicebus.publish.lanes import LaneKey
from dstream_servicebus.publish.message import MAX_ID_LENGTH, Message

REMEMBERED = 10_000
"""Maximum cached combinations of metadata values; a template with a per-event field has one per event."""

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


class Router:
    """Maps lines to messages. `route` is pure: the same line always gives the same message, with the same id."""

    def __init__(self, routing: Routing) -> None:
        rules = routing.messages
        self._names = routing.names
        self._rules = rules
        self._source_fields = routing.names.source_fields()
        fields = sorted(_metadata_fields(routing, self._source_fields))
        self._values: Callable[[Any], Any] = attrgetter(*fields) if fields else lambda _: None
        read = {*fields, "Key", "TableName"} if rules.session == "key" else fields
        self._decode = _envelope_decoder(read, needs_data=rules.body == "data" or rules.session == "key")
        self._no_metadata = self._decode(b'{"metadata":{}}').metadata
        self._targets: dict[Any, _Target] = {}

    def route(self, line: bytes) -> tuple[LaneKey, Message]:
        """Return a line's lane and message. Raises DataError if the line is invalid or lacks a required field."""
        rules = self._rules
        try:
            envelope = self._decode(line)
            metadata = envelope.metadata or self._no_metadata
            session = self._key_session(metadata, envelope.data) if rules.session == "key" else None
        except _UNREADABLE as error:
            raise DataError(
                "servicebus.bad_line", f"a line from the input is not a valid event: {error}: {_start(line)}"
            ) from error
        target = self._target(metadata, session)
        body = line if rules.body == "envelope" else _data(envelope.data, line)
        given = metadata.Id if rules.message_id is None else self._render(rules.message_id, metadata)
        if type(given) is not str or not 0 < len(given) <= MAX_ID_LENGTH:
            given = _stable_id(given, line)
        return target.lane, Message.of(target.encoder, given, body)

    def _target(self, metadata: Any, session: str | None) -> _Target:
        values = (self._values(metadata), session)
        try:
            target = self._targets.get(values)
        except TypeError:  # a list or an object among the values is not hashable
            return self._new_target(metadata, session)
        if target is None:
            target = self._new_target(metadata, session)
            if len(self._targets) >= REMEMBERED:
                self._targets.clear()
            self._targets[values] = target
        return target

    def _new_target(self, metadata: Any, session: str | None) -> _Target:
        rules, names = self._rules, self._names
        if isinstance(rules.session, NameTemplate):
            session = _short(self._required(rules.session, metadata, "session"))
        partition_key = None
        if rules.partition_key is not None:
            partition_key = _short(self._required(rules.partition_key, metadata, "partition_key"))
        if session and partition_key and session != partition_key:
            raise DataError(
                "servicebus.two_partitions",
                f'an event has session "{session}" and partition key "{partition_key}"; they must be equal',
                hint="Remove partition_key: the session id determines the partition.",
                config_path="partition_key",
            )
        rendered = ((name, self._render(template, metadata)) for name, template in rules.properties)
        head = Head(
            _CONTENT_TYPE,
            session_id=session or None,
            partition_key=partition_key or None,
            subject=self._render(rules.subject, metadata),
            properties=tuple((name, value) for name, value in rendered if value is not None),
            ttl_s=rules.ttl_s,
        )
        entity = self._required(names.name, metadata, names.kind)
        if not is_entity_name(entity):
            raise DataError(
                "servicebus.bad_entity_name",
                f'an event belongs to {names.kind} "{entity}", which is not a valid name',
                config_path=names.kind,
            )
        return _Target(LaneKey(entity, head.session_id, head.partition_key), Encoder(head))

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
        return _short("/".join([_text(metadata.TableName) or "", *(_text(values[name]) or "" for name in key)]))

    def _required(self, template: NameTemplate, metadata: Any, setting: str) -> str:
        text = self._render(template, metadata)
        if not text:
            raise DataError(
                "servicebus.field_missing",
                f'{setting} = "{template.text}" needs metadata that an event does not have',
                hint="Use only fields that the input provides.",
                config_path=setting,
            )
        return text

    def _render(self, template: NameTemplate, metadata: Any) -> str | None:
        """Return None if the event lacks a field."""
        if not template.fields:
            return template.text
        values = _FieldValues(self._source_fields, metadata)
        try:
            return template.render(values)
        except KeyError:
            return None


class _FieldValues(Mapping[str, str]):
    """The fields of a template: source_host, source_database, table, and every key of the metadata."""

    def __init__(self, source_fields: Mapping[str, str], metadata: Any) -> None:
        self._source_fields = source_fields
        self._metadata = metadata

    def __getitem__(self, name: str) -> str:
        if name in self._source_fields:
            return self._source_fields[name]
        text = _text(getattr(self._metadata, _source_of(name)))
        if text is None:
            raise KeyError(name)
        return kebab_table(text) if name == "table" else text

    def __iter__(self) -> Any:
        raise NotImplementedError("templates only look up fields by name")

    def __len__(self) -> int:
        raise NotImplementedError("templates only look up fields by name")


def _metadata_fields(routing: Routing, source_fields: Mapping[str, str]) -> set[str]:
    rules = routing.messages
    templates = [routing.names.name, rules.subject, *(template for _, template in rules.properties)]
    templates += [t for t in (rules.message_id, rules.partition_key, rules.session) if isinstance(t, NameTemplate)]
    names = {name for template in templates for name in template.fields} - source_fields.keys()
    return {_source_of(name) for name in names}


def _source_of(name: str) -> str:
    return "TableName" if name == "table" else name


def _envelope_decoder(fields: Iterable[str], *, needs_data: bool) -> Callable[[bytes], Any]:
    names = sorted({"Id", *fields})
    metadata = msgspec.defstruct("Metadata", [(name, Any, None) for name in names], frozen=True)
    shape: list[tuple[str, Any, Any]] = [("metadata", metadata | None, None)]
    if needs_data:
        shape.append(("data", msgspec.Raw, msgspec.Raw(b"")))
    return msgspec.json.Decoder(msgspec.defstruct("Envelope", shape)).decode


def _start(line: bytes) -> str:
    """Return the start of a line, for an error."""
    text = line.decode("utf-8", "replace")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}.."


def _data(data: msgspec.Raw, line: bytes) -> bytes:
    if not data:
        raise DataError("servicebus.no_data", f'an event has no "data" to send: {_start(line)}')
    return bytes(data)


def _stable_id(given: object, line: bytes) -> str:
    """Return the given id, a hash of it if it is too long, or a hash of the line's bytes if there is none."""
    text = _text(given)
    return _short(text) if text else hashlib.sha256(line).hexdigest()[:_DIGEST_CHARS]


def _short(text: str) -> str:
    """Return the text, or a hash of it if it is longer than an id may be."""
    return text if len(text) <= MAX_ID_LENGTH else hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARS]


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()

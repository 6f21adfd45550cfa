"""Events as CloudEvents 1.0. Pure.

Structured mode is the JSON event format; binary mode is that of the AMQP protocol binding, which maps each attribute to
an application property and allows its canonical string (CloudEvents: "Core specification", "JSON event format", "AMQP
protocol binding", 3.1.3). Property names have the prefix `cloudEvents_`, which the binding prefers to `cloudEvents:`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from dstream.sdk.errors import DataError
from dstream_servicebus.publish.fields import text_of

MEDIA_TYPE = "application/cloudevents+json"
PREFIX = "cloudEvents_"

Attributes = dict[str, str | int | bool]

_TAKEN = frozenset({"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data"})
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_MAX_INTEGER = 2**31


class _Envelope(msgspec.Struct):
    metadata: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Envelope).decode


def metadata_of(line: bytes) -> dict[str, Any]:
    """Return all metadata of an event. Raises msgspec's exceptions and UnicodeDecodeError."""
    return _decode(line).metadata or {}


def attributes(event_id: str, source: str, type_: str, subject: str | None, metadata: Mapping[str, Any]) -> Attributes:
    """Return the attributes of an event: the required ones, the commit time, and the other metadata as extensions.

    Raises DataError if two keys of the metadata have the same attribute name.
    """
    found: Attributes = {"specversion": "1.0", "id": event_id, "source": source, "type": type_}
    if subject:
        found["subject"] = subject
    commit_time = metadata.get("CommitTime")
    if isinstance(commit_time, str) and _RFC_3339.fullmatch(commit_time):
        found["time"] = commit_time
    for key, value in metadata.items():
        if value is None or (key == "Id" and value == event_id) or (key == "CommitTime" and "time" in found):
            continue
        name = _extension_name(key)
        if not name or name in found:
            raise DataError(
                "servicebus.bad_attribute",
                f'the metadata key "{key}" cannot be an attribute of a CloudEvent, or two keys have the same name '
                "in lower case",
                hint='Rename it at the input, or use body = "envelope".',
                config_path="body",
            )
        found[name] = _extension_value(value)
    return found


def structured(found: Attributes, data: bytes) -> bytes:
    """Return the event in the JSON event format, with the data byte for byte."""
    return msgspec.json.encode({**found, "datacontenttype": "application/json", "data": msgspec.Raw(data)})


def properties(found: Attributes) -> tuple[tuple[str, str], ...]:
    """Return the application properties of binary mode."""
    return tuple((PREFIX + name, text_of(value) or "") for name, value in found.items())


def _extension_name(key: str) -> str:
    """Lower-case letters and digits only; with the prefix `meta` if CloudEvents gives the name another meaning."""
    name = re.sub("[^a-z0-9]", "", key.lower())
    return f"meta{name}" if name in _TAKEN else name


def _extension_value(value: Any) -> str | int | bool:
    """Booleans and 32-bit integers have types in CloudEvents; everything else is text."""
    if isinstance(value, bool) or (isinstance(value, int) and -_MAX_INTEGER <= value < _MAX_INTEGER):
        return value
    return text_of(value) or ""

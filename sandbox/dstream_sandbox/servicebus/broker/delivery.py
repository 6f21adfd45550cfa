"""Converts stored entries to messages and deliveries of core.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from dstream_sandbox.servicebus.broker.entry import NO_OVERLAY, Entry, State
from dstream_sandbox.servicebus.core import Delivery, Message
from dstream_sandbox.servicebus.nodes.intake import parse_message

__all__ = ["delivery_of", "message_of"]

_STATES: tuple[Literal["active", "deferred", "scheduled"], ...] = ("active", "deferred", "scheduled")


def message_of(entry: Entry) -> Message:
    parsed_later = _ParsedLater(entry)
    started = entry.scheduled_at or entry.batch.enqueued_at
    return Message(
        entry.encoded,
        entry.message_id,
        entry.session_id,
        entry.partition_key,
        None if entry.expires_at is None else entry.expires_at - started,
        entry.scheduled_at,
        parsed_later.application_properties,
        parsed_later.properties,
    )


def delivery_of(entry: Entry, lock: tuple[bytes, float] | None, state: State | None = None) -> Delivery:
    token, until = lock or (None, None)
    overlay = entry.overlay or NO_OVERLAY
    return Delivery(
        message_of(entry),
        entry.sequence,
        entry.batch.enqueued_at,
        entry.delivery_count,
        token,
        until,
        _STATES[entry.state if state is None else state],
        overlay.dead_letter_source,
        overlay.properties,
    )


class _ParsedLater:
    """An entry's sections, decoded when a filter needs them, with the changes made by settlements."""

    __slots__ = ("_encoded", "_overlay")

    def __init__(self, entry: Entry) -> None:
        self._encoded = entry.encoded
        self._overlay = entry.overlay

    def application_properties(self) -> Mapping[str, object]:
        own = parse_message(self._encoded).application_properties()
        return {**own, **self._overlay.properties} if self._overlay else own

    def properties(self) -> Mapping[str, object]:
        return parse_message(self._encoded).properties()

"""Decides what happens to a row that cannot be delivered: it stops the stream, or it is kept as a dead letter.

A row is durable, in the file or in the dead-letter queue, before it counts as settled.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from dstream.sdk import Telemetry
from dstream.sdk.errors import DataError
from dstream_servicebus.publish.dead_letter_file import DeadLetterFile
from dstream_servicebus.publish.encoder import Encoder, Head
from dstream_servicebus.publish.lanes import LaneKey
from dstream_servicebus.publish.message import Message
from dstream_servicebus.publish.rejected import Reason, Rejected, rejected
from dstream_servicebus.settings.dead_letters import DeadLetterPolicy


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row cannot be delivered."""

    reason: Reason
    error: DataError
    """What stops the stream if the row is not kept."""
    limit: int | None = None
    """Maximum size in bytes, if it is too large and the limit is known."""


class Redirected(NamedTuple):
    """A message to send instead of one that was refused; the row is settled when it is accepted."""

    key: LaneKey
    message: Message


class RejectedRows(Protocol):
    """Takes rows that cannot be delivered. Called from several threads."""

    def check(self) -> None:
        """Raise SystemFault if rows cannot be kept, so that this shows before any row is read."""

    def take(self, refusal: Refusal, entity: str, message_id: str, row: bytes, size: int) -> Redirected | None:
        """Keep the row durably and return None, or return the message that will do so. Raises DStreamError."""
        ...


class Rejections:
    """The policy of a run."""

    def __init__(self, policy: DeadLetterPolicy, telemetry: Telemetry, now: Callable[[], datetime]) -> None:
        self._policy = policy
        self._telemetry = telemetry
        self._now = now
        self._file = DeadLetterFile(policy.file) if policy.file is not None else None
        self._lock = threading.Lock()
        self._count = 0

    def check(self) -> None:
        """Raise SystemFault if the dead-letter file cannot be written."""
        if self._file is not None:
            self._file.check()

    def take(self, refusal: Refusal, entity: str, message_id: str, row: bytes, size: int) -> Redirected | None:
        """Raises the refusal's error if such rows stop the stream, DataError if there are too many, SystemFault if the
        file cannot be written."""
        policy = self._policy
        if (policy.oversize if refusal.reason == "oversize" else policy.refused) == "fail":
            raise refusal.error
        self._admit(refusal)
        record = rejected(
            refusal.reason, refusal.error.message, entity, message_id, row, size, refusal.limit, self._now()
        )
        redirected = None
        if self._file is not None:
            self._file.add(record)
        else:
            assert policy.queue is not None  # a policy that keeps rows has a place for them
            redirected = Redirected(LaneKey(policy.queue, None, None, is_dead_letter=True), dead_letter(record))
        self._telemetry.warning(
            "servicebus.rejected",
            reason=refusal.reason,
            entity=entity,
            message_id=message_id,
            size=size,
            limit=refusal.limit,
            detail=record.detail,
        )
        return redirected

    def _admit(self, refusal: Refusal) -> None:
        with self._lock:
            if self._count >= self._policy.max_rows:
                raise DataError(
                    "servicebus.too_many_rejected",
                    f"{self._count:,} rows were rejected since the start; the next one: {refusal.error.message}",
                    hint="Fix the cause. To allow more rejected rows, increase dead_letter { max_rows }.",
                    config_path="dead_letter.max_rows",
                )
            self._count += 1


def dead_letter(record: Rejected) -> Message:
    """Return the message for the dead-letter queue: the row as it came, with its id."""
    properties = (
        ("DStreamReason", record.reason),
        ("DStreamDetail", record.detail),
        ("DStreamEntity", record.entity),
        ("DStreamMessageId", record.message_id),
        ("DStreamSize", str(record.size)),
        ("DStreamRejectedAt", record.time),
    )
    head = Head("application/json", subject=record.reason, properties=properties)
    return Message.of(Encoder(head), record.message_id, record.row)


def oversize(entity: str, message: Message, limit: int | None, detail: str = "") -> Refusal:
    """The refusal of a message that is too large. `detail`: what the service said, if it did."""
    what = f'"{entity}" accepts at most {limit:,}' if limit else f'"{entity}" refuses it as too large'
    error = DataError(
        "servicebus.oversize",
        f"event {message.message_id} needs a message of {message.size:,} bytes; {what}{detail and f': {detail}'}",
        hint='Exclude large columns at the input, or keep such events with on_error { oversize = "dead_letter" }.',
        config_path="on_error.oversize",
    )
    return Refusal("oversize", error, limit)

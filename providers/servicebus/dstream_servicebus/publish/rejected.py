"""A row that could not be delivered, and why, as it is kept in a dead-letter file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

Reason = Literal["oversize", "refused", "unroutable"]
"""oversize: larger than the entity accepts; refused: by Service Bus, for good; unroutable: no message can be built."""

MAX_DETAIL = 1000
"""Characters of the error that are kept."""


class Rejected(msgspec.Struct, frozen=True):
    """One line of the file. After a crash, the file may contain a row twice, with the same message id."""

    reason: str
    entity: str = ""
    """Where it was sent; empty if it has no valid destination."""
    message_id: str = ""
    size: int = 0
    """Bytes of the message; of the row if there is no message."""
    limit: int | None = None
    """Maximum size in bytes; None unless it was too large and the limit is known."""
    time: str = ""
    """When it was rejected: RFC 3339, UTC."""
    detail: str = ""
    """The error, in one sentence."""
    event: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    """The row as it came."""
    line: bytes | msgspec.UnsetType = msgspec.UNSET
    """Instead of `event`, in base64: a row that is not JSON."""

    @property
    def row(self) -> bytes:
        """The row as it came."""
        if isinstance(self.line, bytes):
            return self.line
        return b"" if self.event is msgspec.UNSET else bytes(self.event)


def rejected(
    reason: Reason, detail: str, entity: str, message_id: str, row: bytes, size: int, limit: int | None, now: datetime
) -> Rejected:
    """Return the record of a row."""
    is_json = _is_json(row)
    return Rejected(
        reason,
        entity,
        message_id,
        size,
        limit,
        now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        detail[:MAX_DETAIL],
        msgspec.Raw(row) if is_json else msgspec.UNSET,
        msgspec.UNSET if is_json else row,
    )


def _is_json(row: bytes) -> bool:
    """Whether the row can be part of a JSON line, byte for byte."""
    try:
        msgspec.json.decode(row)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return row == row.strip() and b"\n" not in row

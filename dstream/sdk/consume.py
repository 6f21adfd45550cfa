"""For consumers of Service Bus: turns messages into rows, packed and compressed or not, and drops repeated rows.

Works with the messages of azure-servicebus, but does not import it. Formats: the provider's settings `body`, `packing`
and `compression`.
"""

from __future__ import annotations

import hashlib
import threading
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

_GZIP_FORMAT = 31
_DIGEST_CHARS = 32


class ReceivedMessage(Protocol):
    """A `ServiceBusReceivedMessage` of azure-servicebus."""

    @property
    def body(self) -> Any: ...
    @property
    def message_id(self) -> str | None: ...
    @property
    def content_type(self) -> str | None: ...
    @property
    def raw_amqp_message(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class ReceivedRow:
    """One event. `line`: its JSON, as published."""

    id: str
    """The same each time the row is sent."""
    line: bytes

    @property
    def event(self) -> Any:
        """The decoded JSON. Raises msgspec.DecodeError."""
        return msgspec.json.decode(self.line)


class _PackedRow(msgspec.Struct):
    """An envelope, or a CloudEvent in structured mode."""

    data: msgspec.Raw = msgspec.Raw()
    metadata: Any = None
    specversion: Any = None
    id: Any = None


_decode_row = msgspec.json.Decoder(_PackedRow).decode


def rows_of(message: ReceivedMessage) -> list[ReceivedRow]:
    """Return the rows of a message, in order. Raises msgspec.DecodeError or zlib.error for a damaged body."""
    body = _plain_body(message)
    media_type = (message.content_type or "").partition(";")[0].strip().lower()
    lines: list[bytes] = []
    if media_type == "application/x-ndjson":
        lines = body.split(b"\n")
    elif body.startswith(b"["):
        elements = [bytes(each) for each in msgspec.json.decode(body, type=list[msgspec.Raw])]
        lines = elements if all(map(_is_row, elements)) else []
    if not lines:
        return [ReceivedRow(message.message_id or _hash(body), body)]
    return [ReceivedRow(_id_in(line), line) for line in lines]


class Deduplicator:
    """Drops rows that were handled before, by id. Thread-safe.

    Remembers the last `max_rows` rows of this process, in about 150 bytes each. It does not see rows that another
    consumer has handled, nor those before its process started: handling a row twice must then do no harm.
    """

    def __init__(self, max_rows: int = 100_000) -> None:
        """Raises ValueError if `max_rows` is less than 1."""
        if max_rows < 1:
            raise ValueError("max_rows must be at least 1")
        self._max_rows = max_rows
        self._lock = threading.Lock()
        self._known: set[bytes] = set()
        self._order: deque[bytes] = deque()

    @contextmanager
    def new_rows(self, message: ReceivedMessage) -> Iterator[list[ReceivedRow]]:
        """Enter with the rows of the message that were not handled before; leave when they are handled.

        If the block raises an exception, none of them counts as handled, so they come again with the message.
        Raises what `rows_of` raises.
        """
        rows = rows_of(message)
        new: dict[bytes, ReceivedRow] = {}
        with self._lock:
            for row in rows:
                digest = hashlib.blake2b(row.id.encode(), digest_size=16).digest()
                if digest not in self._known:
                    new.setdefault(digest, row)
        yield list(new.values())
        with self._lock:
            self._remember(new)

    def _remember(self, digests: Iterable[bytes]) -> None:
        for digest in digests:
            if digest not in self._known:
                self._known.add(digest)
                self._order.append(digest)
        while len(self._order) > self._max_rows:
            self._known.discard(self._order.popleft())


def _plain_body(message: ReceivedMessage) -> bytes:
    body = message.body
    joined = body if isinstance(body, bytes) else b"".join(body)
    properties = message.raw_amqp_message.properties
    encoding = properties.content_encoding if properties else None
    if encoding in ("gzip", b"gzip"):
        return zlib.decompress(joined, wbits=_GZIP_FORMAT)
    return joined


def _is_row(line: bytes) -> bool:
    """Whether an element is a packed row, rather than a part of an event whose data is a list."""
    if not line.startswith(b"{"):
        return False
    row = _decode_row(line)
    return bool(row.data) or row.metadata is not None or row.specversion is not None


def _id_in(line: bytes) -> str:
    """The id of a packed row, or a hash of its bytes, as the provider computes it."""
    row = _decode_row(line)
    given = row.metadata.get("Id") if isinstance(row.metadata, dict) else row.id if row.specversion else None
    if given is None or given == "":
        return _hash(line)
    return given if isinstance(given, str) else msgspec.json.encode(given).decode()


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()[:_DIGEST_CHARS]

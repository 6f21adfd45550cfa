"""The sections of an encoded message, found without decoding them (OASIS AMQP 1.0, part 3, section 3.2)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from dstream_sandbox.servicebus.amqp.decode import decode, skip
from dstream_sandbox.servicebus.amqp.values import MalformedValue

__all__ = ["BATCH_FORMAT", "Section", "Sections", "count_data", "data_bodies", "scan"]

BATCH_FORMAT = 0x80013700
"""A batch: each Data section contains one encoded message (as Microsoft's SDKs send it)."""

_UINT = struct.Struct(">I")
_ONE_OCTET_SIZE = frozenset((0xA0, 0xA1, 0xC0, 0xC1))
_FOUR_OCTET_SIZE = frozenset((0xB0, 0xB1, 0xD0, 0xD1))
_FIRST_CODE, _FIRST_BODY_CODE, _LAST_CODE = 0x70, 0x75, 0x78


class Section(IntEnum):
    HEADER = 0x70
    DELIVERY_ANNOTATIONS = 0x71
    MESSAGE_ANNOTATIONS = 0x72
    PROPERTIES = 0x73
    APPLICATION_PROPERTIES = 0x74
    DATA = 0x75
    SEQUENCE = 0x76
    VALUE = 0x77
    FOOTER = 0x78


Span = tuple[int, int, int]
"""The start of a section, the start of its value, and its end."""


class Sections(NamedTuple):
    """Only the first section of the body is recorded; the body extends to the end of the message, including the
    footer."""

    header: Span | None
    delivery_annotations: Span | None
    message_annotations: Span | None
    properties: Span | None
    application_properties: Span | None
    body: Span | None
    body_code: int


def scan(encoded: bytes) -> Sections:
    """Find the sections. Called for every message, so the common encodings are read in place. Raises MalformedValue."""
    pos, size = 0, len(encoded)
    spans: list[Span | None] = [None, None, None, None, None]
    body: Span | None = None
    body_code = 0
    try:
        while pos < size:
            if encoded[pos] == 0 and encoded[pos + 1] == 0x53:
                code, value = encoded[pos + 2], pos + 3
            else:
                code, value = _descriptor(encoded, pos)
            constructor = encoded[value]
            if constructor in _ONE_OCTET_SIZE:
                end = value + 2 + encoded[value + 1]
            elif constructor in _FOUR_OCTET_SIZE:
                end = value + 5 + _UINT.unpack_from(encoded, value + 1)[0]
            else:
                end = skip(encoded, value)
            if end > size:
                raise MalformedValue(f"section {code:#x} extends beyond the message")
            if code >= _FIRST_BODY_CODE:
                body, body_code = (pos, value, end), code
                break
            if code < _FIRST_CODE:
                raise MalformedValue(f"unknown message section {code:#x}")
            spans[code - _FIRST_CODE] = (pos, value, end)
            pos = end
    except (IndexError, KeyError, ValueError, RecursionError, struct.error) as exc:
        raise MalformedValue(f"invalid message section at octet {pos}") from exc
    if body_code > _LAST_CODE:
        raise MalformedValue(f"unknown message section {body_code:#x}")
    return Sections(spans[0], spans[1], spans[2], spans[3], spans[4], body, body_code)


def data_bodies(encoded: bytes, start: int) -> list[bytes]:
    """The contents of the Data sections from `start` on; each is one message of a batch."""
    bodies, pos, size = [], start, len(encoded)
    try:
        while pos < size:
            code, value = _descriptor(encoded, pos)
            end = skip(encoded, value)
            if code == Section.DATA:
                offset = 2 if encoded[value] == 0xA0 else 5
                bodies.append(encoded[value + offset : end])
            pos = end
    except (IndexError, KeyError, RecursionError, struct.error) as exc:
        raise MalformedValue(f"invalid message section at octet {pos}") from exc
    return bodies


def count_data(encoded: bytes) -> int:
    """The number of Data sections, counted as cheaply as possible in Python."""
    count, pos, size = 0, 0, len(encoded)
    unpack = _UINT.unpack_from
    try:
        while pos < size:
            if encoded[pos + 1] == 0x53 and encoded[pos + 2] == 0x75:
                count += 1
                code = encoded[pos + 3]
                pos += 5 + encoded[pos + 4] if code == 0xA0 else 8 + unpack(encoded, pos + 4)[0]
            else:
                code, pos = _descriptor(encoded, pos)
                count += code == Section.DATA
                pos = skip(encoded, pos)
    except (IndexError, KeyError, RecursionError, struct.error) as exc:
        raise MalformedValue(f"invalid message section at octet {pos}") from exc
    return count


def _descriptor(encoded: bytes, pos: int) -> tuple[int, int]:
    """The code of the section at `pos`, and the offset of its value."""
    if encoded[pos] != 0:
        raise MalformedValue(f"invalid message section at octet {pos}")
    if encoded[pos + 1] == 0x53:
        return encoded[pos + 2], pos + 3
    descriptor, value = decode(encoded, pos + 1)
    if not isinstance(descriptor, int):
        raise MalformedValue(f"message section with descriptor {descriptor!r}")
    return int(descriptor), value

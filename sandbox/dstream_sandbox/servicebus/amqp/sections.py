"""The sections of an encoded message, found without decoding them (OASIS AMQP 1.0, part 3, section 3.2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from dstream_sandbox.servicebus.amqp.decode import decode, skip
from dstream_sandbox.servicebus.amqp.values import MalformedValue

__all__ = ["BATCH_FORMAT", "Section", "Sections", "count_data", "data_bodies", "scan"]

BATCH_FORMAT = 0x80013700
"""A batch: each Data section holds one whole encoded message (as Microsoft's SDKs send it)."""

_UINT = struct.Struct(">I")


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


@dataclass(slots=True)
class Sections:
    """For each section: where it starts, where its value starts, and where it ends. Of a body, only its first section
    has an entry; the body runs on to the end of the message, footer included."""

    header: tuple[int, int, int] | None = None
    delivery_annotations: tuple[int, int, int] | None = None
    message_annotations: tuple[int, int, int] | None = None
    properties: tuple[int, int, int] | None = None
    application_properties: tuple[int, int, int] | None = None
    body: tuple[int, int, int] | None = None
    body_code: int = 0


_NAMES = {
    Section.HEADER: "header",
    Section.DELIVERY_ANNOTATIONS: "delivery_annotations",
    Section.MESSAGE_ANNOTATIONS: "message_annotations",
    Section.PROPERTIES: "properties",
    Section.APPLICATION_PROPERTIES: "application_properties",
}


def scan(encoded: bytes) -> Sections:
    """Raises MalformedValue."""
    sections, pos, size = Sections(), 0, len(encoded)
    try:
        while pos < size:
            code, value = _descriptor(encoded, pos)
            end = skip(encoded, value)
            if code >= Section.DATA:
                sections.body, sections.body_code = (pos, value, end), code
                break
            setattr(sections, _NAMES[Section(code)], (pos, value, end))
            pos = end
    except (IndexError, KeyError, ValueError, RecursionError, struct.error) as exc:
        raise MalformedValue(f"no message section at octet {pos}") from exc
    return sections


def data_bodies(encoded: bytes, start: int) -> list[bytes]:
    """What the Data sections from `start` on hold; each of them is one message of a batch."""
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
        raise MalformedValue(f"no message section at octet {pos}") from exc
    return bodies


def count_data(encoded: bytes) -> int:
    """How many Data sections there are, as cheaply as Python can tell."""
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
        raise MalformedValue(f"no message section at octet {pos}") from exc
    return count


def _descriptor(encoded: bytes, pos: int) -> tuple[int, int]:
    """Code of the section at `pos`, and where its value starts."""
    if encoded[pos] != 0:
        raise MalformedValue(f"no message section at octet {pos}")
    if encoded[pos + 1] == 0x53:
        return encoded[pos + 2], pos + 3
    descriptor, value = decode(encoded, pos + 1)
    if not isinstance(descriptor, int):
        raise MalformedValue(f"message section described by {descriptor!r}")
    return int(descriptor), value

"""The frame bodies of AMQP 1.0 that the server reads and writes (OASIS AMQP 1.0, part 2, section 2.7; part 3, 3.4)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from dstream_sandbox.servicebus.amqp.decode import decode
from dstream_sandbox.servicebus.amqp.encode import encode_composite
from dstream_sandbox.servicebus.amqp.values import Described, MalformedValue, Symbol, UByte, UInt, ULong, UShort
from dstream_sandbox.servicebus.core import AmqpError

__all__ = [
    "ACCEPTED",
    "RELEASED",
    "Attach",
    "Code",
    "Disposition",
    "Flow",
    "Terminus",
    "Transfer",
    "begin",
    "close",
    "code_of",
    "detach",
    "disposition",
    "end",
    "error_of",
    "error_value",
    "flow",
    "open_",
    "open_limits",
    "parse",
    "rejected",
    "sasl_init",
    "sasl_mechanisms",
    "sasl_outcome",
    "transfer",
]


class Code(IntEnum):
    OPEN = 0x10
    BEGIN = 0x11
    ATTACH = 0x12
    FLOW = 0x13
    TRANSFER = 0x14
    DISPOSITION = 0x15
    DETACH = 0x16
    END = 0x17
    CLOSE = 0x18
    ERROR = 0x1D
    RECEIVED = 0x23
    ACCEPTED = 0x24
    REJECTED = 0x25
    RELEASED = 0x26
    MODIFIED = 0x27
    SOURCE = 0x28
    TARGET = 0x29
    SASL_MECHANISMS = 0x40
    SASL_INIT = 0x41
    SASL_OUTCOME = 0x44


_NAMES = {f"amqp:{name}:list": code for name, code in (
    ("open", Code.OPEN), ("begin", Code.BEGIN), ("attach", Code.ATTACH), ("flow", Code.FLOW),
    ("transfer", Code.TRANSFER), ("disposition", Code.DISPOSITION), ("detach", Code.DETACH), ("end", Code.END),
    ("close", Code.CLOSE), ("error", Code.ERROR), ("received", Code.RECEIVED), ("accepted", Code.ACCEPTED),
    ("rejected", Code.REJECTED), ("released", Code.RELEASED), ("modified", Code.MODIFIED),
    ("source", Code.SOURCE), ("target", Code.TARGET), ("sasl-init", Code.SASL_INIT),
)}  # fmt: skip

ACCEPTED = Described(ULong(Code.ACCEPTED), [])
RELEASED = Described(ULong(Code.RELEASED), [])


def code_of(value: object) -> int | None:
    """The numeric descriptor of a described value; senders may use the numeric or the symbolic form."""
    if not isinstance(value, Described):
        return None
    if isinstance(value.descriptor, Symbol):
        return _NAMES.get(value.descriptor)
    return int(value.descriptor) if isinstance(value.descriptor, int) else None


def parse(body: bytes) -> tuple[int, list[object], int]:
    """The code and fields of the performative at the start of a frame body, and the offset of the payload."""
    value, end = decode(body)
    code = code_of(value)
    if code is None or not isinstance(value, Described) or not isinstance(value.value, list):
        raise MalformedValue("a frame must start with a performative")
    return code, value.value, end


def _field(fields: list[object], index: int) -> object:
    return fields[index] if index < len(fields) else None


def _integer(fields: list[object], index: int, default: int) -> int:
    value = _field(fields, index)
    if value is None:
        return default
    if not isinstance(value, int):
        raise MalformedValue(f"field {index} must be a number")
    return int(value)


def _limited(fields: list[object], index: int, default: int, largest: int) -> int:
    value = _integer(fields, index, default)
    if not 0 <= value <= largest:
        raise MalformedValue(f"field {index} cannot be {value}")
    return value


def integer_or_none(fields: list[object], index: int) -> int | None:
    return None if _field(fields, index) is None else _integer(fields, index, 0)


def _flag(fields: list[object], index: int) -> bool:
    return _field(fields, index) is True


def _mapping(value: object) -> Mapping[object, object]:
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Terminus:
    """A source or target. `fields` are those sent by the peer, so that a reply can mirror them."""

    code: Literal[Code.SOURCE, Code.TARGET]
    fields: tuple[object, ...]

    @property
    def address(self) -> str:
        value = self.fields[0] if self.fields else None
        return value if isinstance(value, str) else ""

    @property
    def filters(self) -> Mapping[object, object]:
        return _mapping(self.fields[7]) if self.code is Code.SOURCE and len(self.fields) > 7 else {}

    def with_filters(self, filters: Mapping[object, object]) -> Terminus:
        fields = [*self.fields, *[None] * (8 - len(self.fields))]
        fields[7] = dict(filters) if filters else None
        return Terminus(self.code, tuple(fields))

    def described(self) -> Described:
        return Described(ULong(self.code), list(self.fields))


@dataclass(slots=True)
class Attach:
    name: str
    handle: int
    peer_receives: bool
    snd_settle_mode: int
    rcv_settle_mode: int
    source: Terminus | None
    target: Terminus | None
    target_code: int | None  # also for a target that is not a terminus, such as a transaction coordinator
    initial_delivery_count: int
    max_message_size: int
    properties: Mapping[object, object]

    @classmethod
    def parse(cls, fields: list[object]) -> Attach:
        return cls(
            name=str(_field(fields, 0)),
            handle=_limited(fields, 1, 0, 0xFFFFFFFF),
            peer_receives=_flag(fields, 2),
            snd_settle_mode=_limited(fields, 3, 2, 2),
            rcv_settle_mode=_limited(fields, 4, 0, 1),
            source=_terminus(_field(fields, 5), Code.SOURCE),
            target=_terminus(_field(fields, 6), Code.TARGET),
            target_code=code_of(_field(fields, 6)),
            initial_delivery_count=_integer(fields, 9, 0),
            max_message_size=_integer(fields, 10, 0),
            properties=_mapping(_field(fields, 13)),
        )

    def reply(
        self,
        *,
        source: Terminus | None,
        target: Terminus | None,
        max_message_size: int,
        properties: Mapping[object, object],
    ) -> bytes:
        """Encode the server's attach: the same link from the other end."""
        fields: list[object] = [
            self.name,
            UInt(self.handle),
            not self.peer_receives,
            UByte(self.snd_settle_mode),
            UByte(self.rcv_settle_mode),
            source.described() if source else None,
            target.described() if target else None,
            None,
            None,
            UInt(0) if self.peer_receives else None,
            ULong(max_message_size),
            None,
            None,
            dict(properties) or None,
        ]
        return encode_composite(Code.ATTACH, fields)


def _terminus(value: object, code: Literal[Code.SOURCE, Code.TARGET]) -> Terminus | None:
    if code_of(value) != code or not isinstance(value, Described) or not isinstance(value.value, list):
        return None
    return Terminus(code, tuple(value.value))


@dataclass(slots=True)
class Flow:
    next_incoming_id: int | None
    incoming_window: int
    next_outgoing_id: int
    handle: int | None
    delivery_count: int | None
    link_credit: int | None
    drain: bool
    echo: bool

    @classmethod
    def parse(cls, fields: list[object]) -> Flow:
        return cls(
            next_incoming_id=integer_or_none(fields, 0),
            incoming_window=_integer(fields, 1, 0),
            next_outgoing_id=_integer(fields, 2, 0),
            handle=integer_or_none(fields, 4),
            delivery_count=integer_or_none(fields, 5),
            link_credit=integer_or_none(fields, 6),
            drain=_flag(fields, 8),
            echo=_flag(fields, 9),
        )


@dataclass(slots=True)
class Transfer:
    handle: int
    delivery_id: int | None
    delivery_tag: bytes
    message_format: int
    settled: bool
    more: bool
    aborted: bool

    @classmethod
    def parse(cls, fields: list[object]) -> Transfer:
        tag = _field(fields, 2)
        return cls(
            handle=_integer(fields, 0, 0),
            delivery_id=integer_or_none(fields, 1),
            delivery_tag=tag if isinstance(tag, bytes) else b"",
            message_format=_integer(fields, 3, 0),
            settled=_flag(fields, 4),
            more=_flag(fields, 5),
            aborted=_flag(fields, 9),
        )


@dataclass(slots=True)
class Disposition:
    from_receiver: bool
    first: int
    last: int
    settled: bool
    state: Described | None

    @classmethod
    def parse(cls, fields: list[object]) -> Disposition:
        first = _integer(fields, 1, 0)
        state = _field(fields, 4)
        return cls(
            from_receiver=_flag(fields, 0),
            first=first,
            last=_integer(fields, 2, first),
            settled=_flag(fields, 3),
            state=state if isinstance(state, Described) else None,
        )


def open_limits(fields: list[object]) -> tuple[int, int]:
    """The peer's max-frame-size in octets and idle-timeout in ms (0: none)."""
    return _integer(fields, 2, 0xFFFFFFFF), _integer(fields, 4, 0)


def open_(container_id: str, max_frame_size: int, channel_max: int, idle_timeout_ms: int) -> bytes:
    fields = [container_id, None, UInt(max_frame_size), UShort(channel_max), UInt(idle_timeout_ms)]
    return encode_composite(Code.OPEN, fields)


def begin(remote_channel: int, next_outgoing_id: int, incoming_window: int, outgoing_window: int) -> bytes:
    windows = [UInt(next_outgoing_id), UInt(incoming_window), UInt(outgoing_window), UInt(65535)]
    return encode_composite(Code.BEGIN, [UShort(remote_channel), *windows])


def flow(
    next_incoming_id: int,
    incoming_window: int,
    next_outgoing_id: int,
    outgoing_window: int,
    link: tuple[int, int, int, bool] | None = None,
) -> bytes:
    """`link`: handle, delivery-count, link-credit, drain."""
    fields: list[object] = [
        UInt(next_incoming_id),
        UInt(incoming_window),
        UInt(next_outgoing_id),
        UInt(outgoing_window),
    ]
    if link:
        handle, delivery_count, credit, drain = link
        fields += [UInt(handle), UInt(delivery_count), UInt(credit), None, drain or None]
    return encode_composite(Code.FLOW, fields)


def transfer(handle: int, delivery_id: int, tag: bytes, *, settled: bool, more: bool) -> bytes:
    """Encoded by hand, since every message sent needs one. `tag` has at most 32 octets."""
    fields = _TRANSFER.pack(0x70, handle, 0x70, delivery_id, 0xA0, len(tag)) + tag + _TRANSFER_FLAGS[settled, more]
    return b"\x00\x53\x14\xc0" + bytes((len(fields) + 1, 6)) + fields


_TRANSFER = struct.Struct(">BIBIBB")
# message-format 0, settled, more
_TRANSFER_FLAGS = {
    (settled, more): b"\x43" + (b"\x41" if settled else b"\x42") + (b"\x41" if more else b"\x42")
    for settled in (False, True)
    for more in (False, True)
}


def disposition(first: int, last: int, state: Described, *, from_receiver: bool) -> bytes:
    """Always settled: SDKs wait for the settled flag, not for the state (azure-servicebus ignores unsettled ones)."""
    return encode_composite(
        Code.DISPOSITION, [from_receiver, UInt(first), UInt(last) if last != first else None, True, state]
    )


def error_value(error: AmqpError | None) -> Described | None:
    if error is None:
        return None
    info = {Symbol(key): value for key, value in error.info.items()}
    return Described(ULong(Code.ERROR), [Symbol(error.condition), error.description, info or None])


def detach(handle: int, error: AmqpError | None) -> bytes:
    return encode_composite(Code.DETACH, [UInt(handle), True, error_value(error)])


def end(error: AmqpError | None) -> bytes:
    return encode_composite(Code.END, [error_value(error)])


def close(error: AmqpError | None) -> bytes:
    return encode_composite(Code.CLOSE, [error_value(error)])


def rejected(error: AmqpError) -> Described:
    return Described(ULong(Code.REJECTED), [error_value(error)])


def error_of(state: Described) -> AmqpError | None:
    """The error in a rejected outcome, if any."""
    value = state.value[0] if isinstance(state.value, list) and state.value else None
    if code_of(value) != Code.ERROR or not isinstance(value, Described) or not isinstance(value.value, list):
        return None
    description, info = _field(value.value, 1), _mapping(_field(value.value, 2))
    return AmqpError(str(_field(value.value, 0)), str(description or ""), {str(k): v for k, v in info.items()})


def sasl_mechanisms(names: list[str]) -> bytes:
    octets = b"".join(bytes((len(name),)) + name.encode() for name in names)
    array = b"\xe0" + bytes((len(octets) + 2, len(names), 0xA3)) + octets
    body = b"\xc0" + bytes((len(array) + 1, 1)) + array
    return b"\x00\x53" + bytes((Code.SASL_MECHANISMS,)) + body


def sasl_outcome(code: int) -> bytes:
    return encode_composite(Code.SASL_OUTCOME, [UByte(code)])


def sasl_init(fields: list[object]) -> tuple[str, bytes]:
    """Mechanism and initial response."""
    response = _field(fields, 1)
    return str(_field(fields, 0)), response if isinstance(response, bytes) else b""

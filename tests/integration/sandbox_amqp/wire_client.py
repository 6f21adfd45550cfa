"""A minimal AMQP client, for frames that no SDK sends or exposes."""

from __future__ import annotations

import socket
import struct
import time
from types import TracebackType
from typing import Any, NamedTuple
from uuid import UUID

from azure.servicebus._pyamqp.utils import generate_sas_token
from dstream_sandbox.servicebus.amqp import frames, performatives
from dstream_sandbox.servicebus.amqp.decode import decode
from dstream_sandbox.servicebus.amqp.encode import encode, encode_composite
from dstream_sandbox.servicebus.amqp.performatives import Code
from dstream_sandbox.servicebus.amqp.sections import scan
from dstream_sandbox.servicebus.amqp.values import Described, Symbol, UByte, UInt, ULong

TIMEOUT_S = 60.0
MANAGE_ID = UUID(int=7)


class Frame:
    def __init__(self, body: bytes) -> None:
        self.code, self.fields, end = performatives.parse(body)
        self.payload = body[end:]

    def __getitem__(self, index: int) -> Any:
        return self.fields[index] if index < len(self.fields) else None

    def __repr__(self) -> str:
        return f"{Code(self.code).name}{self.fields}"


class Answer(NamedTuple):
    """The response of a request node."""

    correlation_id: Any
    properties: dict[str, Any]
    body: Any


class WireClient:
    """One connection with one session on channel 0. The caller chooses the handles."""

    def __init__(self, port: int, *, max_frame_size: int = 65536, idle_timeout_ms: int | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._max_frame_size = max_frame_size
        self._idle_timeout_ms = idle_timeout_ms
        self.heartbeats = 0

    def __enter__(self) -> WireClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.socket.close()

    def open(self, mechanism: str = "ANONYMOUS", response: bytes = b"") -> int:
        """SASL, open and begin. Returns the SASL outcome's code."""
        self.socket.sendall(frames.SASL_HEADER)
        assert self.read_octets(8) == frames.SASL_HEADER
        self.read_frame()
        init = encode_composite(Code.SASL_INIT, [Symbol(mechanism), response])
        self.socket.sendall(frames.frame(frames.SASL_FRAME, 0, init))
        outcome = int(self.read_frame()[0])
        if outcome != 0:
            return outcome
        idle = None if self._idle_timeout_ms is None else UInt(self._idle_timeout_ms)
        self.socket.sendall(frames.AMQP_HEADER)
        assert self.read_octets(8) == frames.AMQP_HEADER
        self.send(Code.OPEN, ["wire-client", None, UInt(self._max_frame_size), None, idle])
        self.expect(Code.OPEN)
        self.send(Code.BEGIN, [None, UInt(0), UInt(1000), UInt(1000)])
        self.expect(Code.BEGIN)
        return outcome

    def login(self, name: str, key: str) -> None:
        assert self.open("PLAIN", b"\0" + name.encode() + b"\0" + key.encode()) == 0

    def send(self, code: Code, fields: list[object], payload: bytes = b"") -> None:
        self.socket.sendall(frames.frame(frames.AMQP_FRAME, 0, encode_composite(code, fields), payload))

    def attach_sender(self, handle: int, address: str) -> None:
        source, target = Described(ULong(Code.SOURCE), ["me"]), Described(ULong(Code.TARGET), [address])
        settle = [UByte(0), UByte(0)]
        self.send(Code.ATTACH, [f"out-{handle}", UInt(handle), False, *settle, source, target, None, None, UInt(0)])

    def attach_receiver(
        self, handle: int, address: str, *, target: str = "me", filters: dict[object, object] | None = None,
        settled: bool = False, properties: dict[object, object] | None = None,
    ) -> None:  # fmt: skip
        source = Described(ULong(Code.SOURCE), [address, *[None] * 6, filters])
        fields: list[object] = [
            f"in-{handle}",
            UInt(handle),
            True,
            UByte(1 if settled else 0),
            UByte(0 if settled else 1),
        ]
        fields += [source, Described(ULong(Code.TARGET), [target]), *[None] * 6, properties]
        self.send(Code.ATTACH, fields)

    def give_credit(self, handle: int, credit: int, *, delivery_count: int = 0, drain: bool = False) -> None:
        windows = [UInt(0), UInt(1000), UInt(0), UInt(1000)]
        self.send(Code.FLOW, [*windows, UInt(handle), UInt(delivery_count), UInt(credit), None, drain])

    def transfer(self, handle: int, delivery_id: int, payload: bytes, *, message_format: int = 0) -> None:
        """Send a delivery in as many frames as needed."""
        room = self._max_frame_size - 100
        for start in range(0, max(len(payload), 1), room):
            more = start + room < len(payload)
            head = [UInt(handle), UInt(delivery_id), struct.pack(">I", delivery_id), UInt(message_format), False, more]
            self.send(Code.TRANSFER, head, payload[start : start + room])

    def put_token(self, audience: str, name: str, key: str, *, lifetime_s: int = 600) -> dict[str, Any]:
        """Send a token to $cbs; return the application properties of its response. Uses handles 100 and 101."""
        self.attach_sender(100, "$cbs")
        self.attach_receiver(101, "$cbs")
        self.give_credit(101, 10)
        token = str(generate_sas_token(audience, name, key, int(time.time()) + lifetime_s))  # type: ignore[no-untyped-call]
        properties: dict[str, object] = {
            "operation": "put-token",
            "type": "servicebus.windows.net:sastoken",
            "name": audience,
        }
        self.transfer(100, 0, request(properties, token, message_id="token"))
        answer = self.expect(Code.TRANSFER)
        self.detach(100, 101)
        return parse_answer(answer.payload).properties

    def store(self, queue: str, *messages: bytes) -> None:
        """Send messages and check that each is accepted. Uses handle 50."""
        self.attach_sender(50, queue)
        for number, encoded in enumerate(messages):
            self.transfer(50, number, encoded)
            outcome = self.expect(Code.DISPOSITION)
            assert outcome[4].descriptor == Code.ACCEPTED, outcome
        self.detach(50)

    def manage(self, entity: str, operation: str, body: object, *, reply_to: str = "here") -> Answer:
        """Run one operation on the entity's $management node. Uses handles 10 and 11."""
        self.attach_sender(10, f"{entity}/$management")
        self.attach_receiver(11, f"{entity}/$management", target=reply_to)
        self.give_credit(11, 10)
        properties: dict[str, object] = {"operation": f"com.microsoft:{operation}"}
        self.transfer(10, 0, request(properties, body, message_id=MANAGE_ID, reply_to=reply_to))
        answer = self.expect(Code.TRANSFER)
        self.detach(10, 11)
        return parse_answer(answer.payload)

    def detach(self, *handles: int) -> None:
        for handle in handles:
            self.send(Code.DETACH, [UInt(handle), True])
            self.expect(Code.DETACH)

    def expect_refusal(self) -> str:
        """The condition with which an attach is refused: an attach without termini, then a detach."""
        reply = self.expect(Code.ATTACH)
        assert reply[5] is None
        assert reply[6] is None
        return str(self.expect(Code.DETACH)[2].value[0])

    def expect(self, code: Code) -> Frame:
        """The next frame of this kind. Flows, dispositions and attaches before it are skipped."""
        while True:
            frame = self.read_frame()
            if frame.code == code:
                return frame
            assert frame.code in (Code.FLOW, Code.DISPOSITION, Code.ATTACH), f"{frame} instead of {code.name}"

    def read_frame(self) -> Frame:
        while True:
            size, offset = struct.unpack(">IB", self.read_octets(8)[:5])
            body = self.read_octets(size - 8)[4 * offset - 8 :]
            if body:
                return Frame(body)
            self.heartbeats += 1

    def read_octets(self, count: int) -> bytes:
        octets = b""
        while len(octets) < count:
            part = self.socket.recv(count - len(octets))
            if not part:
                raise ConnectionError("the server closed the connection")
            octets += part
        return octets


def data(body: bytes) -> bytes:
    """A Data section."""
    return b"\x00\x53\x75" + encode(body)


def message(body: bytes, message_id: str = "m", session: str | None = None, **properties: object) -> bytes:
    head = encode_composite(0x73, [message_id, *[None] * 9, session])
    application = b"\x00\x53\x74" + encode(properties) if properties else b""
    return head + application + data(body)


def request(properties: dict[str, object], body: object, *, message_id: object, reply_to: str | None = None) -> bytes:
    head = encode_composite(0x73, [message_id, None, None, None, reply_to])
    return head + b"\x00\x53\x74" + encode(properties) + b"\x00\x53\x77" + encode(body)


def parse_answer(payload: bytes) -> Answer:
    sections = scan(payload)
    assert sections.properties is not None
    assert sections.application_properties is not None
    assert sections.body is not None
    properties: Any = decode(payload, sections.properties[1])[0]
    application: Any = decode(payload, sections.application_properties[1])[0]
    return Answer(properties[5], application, decode(payload, sections.body[1])[0])

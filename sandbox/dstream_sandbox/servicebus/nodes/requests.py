"""Requests and responses over a pair of links, for $cbs and $management (Microsoft, "AMQP 1.0 protocol guide")."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from dstream_sandbox.servicebus.amqp import performatives
from dstream_sandbox.servicebus.amqp.container import Received, Settlement
from dstream_sandbox.servicebus.amqp.decode import decode
from dstream_sandbox.servicebus.amqp.encode import encode, encode_composite
from dstream_sandbox.servicebus.amqp.link import IncomingLink, OutgoingLink
from dstream_sandbox.servicebus.amqp.sections import Section, scan
from dstream_sandbox.servicebus.amqp.values import MalformedValue
from dstream_sandbox.servicebus.core import AmqpError

__all__ = ["ReplyLink", "ReplyLinks", "Request", "RequestLink", "Response", "Spawn"]

_MESSAGE_ID, _REPLY_TO = 0, 4
_PENDING_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Request:
    message_id: object
    reply_to: str | None
    application_properties: Mapping[str, object]
    body: object


@dataclass(frozen=True, slots=True)
class Response:
    application_properties: Mapping[str, object]
    body: object = None


class Spawn(Protocol):
    def __call__(self, work: Awaitable[None]) -> object: ...


@dataclass(frozen=True, slots=True)
class _Answer:
    """A response to be delivered, and the data that determines its link."""

    request_link: IncomingLink
    node: str
    reply_to: str | None
    message: bytes


class ReplyLinks:
    """The links of one connection on which it receives responses from request nodes."""

    def __init__(self) -> None:
        self._links: list[ReplyLink] = []
        self._parked: list[_Answer] = []

    def add(self, reply: ReplyLink) -> None:
        """Add a link. A client may attach it after its first request has been handled."""
        self._links.append(reply)
        parked, self._parked = self._parked, []
        for answer in parked:
            self.deliver(answer)

    def remove(self, reply: ReplyLink) -> None:
        if reply in self._links:
            self._links.remove(reply)

    def deliver(self, answer: _Answer) -> None:
        reply = self._find(answer)
        if reply is not None:
            reply.send(answer.message)
        elif not answer.request_link.closed:
            self._parked.append(answer)

    def _find(self, answer: _Answer) -> ReplyLink | None:
        """The link named by the request, or else one of the node in the same session, or else any of the node."""
        candidates = [reply for reply in self._links if reply.node == answer.node]
        named = [reply for reply in candidates if answer.reply_to and reply.target == answer.reply_to]
        same_session = [reply for reply in candidates if reply.link.session is answer.request_link.session]
        return next(iter(named or same_session or candidates), None)


class ReplyLink:
    """Sends responses, which wait for credit."""

    def __init__(self, link: OutgoingLink, node: str, replies: ReplyLinks) -> None:
        self.link = link
        self.node = node
        self.target = link.attach.target.address if link.attach.target else ""
        self._replies = replies
        self._pending: deque[bytes] = deque(maxlen=_PENDING_LIMIT)
        self._count = 0
        link.accept(self)
        replies.add(self)

    def send(self, message: bytes) -> None:
        self._pending.append(message)
        self.on_credit()

    def on_credit(self) -> bool:
        while self._pending and self.link.sendable:
            self._count += 1
            self.link.send(self._count.to_bytes(4, "big"), self._pending.popleft(), settled=True)
        return False

    def on_settlement(self, settlement: Settlement) -> None:
        pass  # responses are sent settled

    def on_closed(self) -> None:
        self._replies.remove(self)


class RequestLink:
    """Receives requests, calls `answer`, and sends each response to the link that its request names."""

    def __init__(
        self,
        link: IncomingLink,
        node: str,
        replies: ReplyLinks,
        answer: Callable[[Request], Awaitable[Response]],
        spawn: Spawn,
    ) -> None:
        self._link = link
        self._node = node
        self._replies = replies
        self._answer = answer
        self._spawn = spawn

    def on_delivery(self, delivery: Received) -> None:
        try:
            request = _parse(delivery.payload)
        except MalformedValue as exc:
            if not delivery.settled:
                self._link.settle(
                    delivery.delivery_id, performatives.rejected(AmqpError("amqp:decode-error", str(exc)))
                )
            return
        if not delivery.settled:
            self._link.settle(delivery.delivery_id, performatives.ACCEPTED)
        self._spawn(self._respond(request))

    def on_closed(self) -> None:
        pass

    async def _respond(self, request: Request) -> None:
        response = await self._answer(request)
        self._replies.deliver(_Answer(self._link, self._node, request.reply_to, _encode(request, response)))


def _parse(payload: bytes) -> Request:
    sections = scan(payload)
    properties = decode(payload, sections.properties[1])[0] if sections.properties else []
    application = decode(payload, sections.application_properties[1])[0] if sections.application_properties else {}
    body: object = None
    if sections.body is not None and sections.body_code == Section.VALUE:
        body = decode(payload, sections.body[1])[0]
    if not isinstance(properties, list) or not isinstance(application, dict):
        raise MalformedValue("a request must have properties in a list and application properties in a map")
    reply_to = properties[_REPLY_TO] if len(properties) > _REPLY_TO else None
    return Request(
        message_id=properties[_MESSAGE_ID] if properties else None,
        reply_to=reply_to if isinstance(reply_to, str) else None,
        application_properties={str(key): value for key, value in application.items()},
        body=body,
    )


def _encode(request: Request, response: Response) -> bytes:
    """Encode a response. Its correlation id is the request's message id with the same type, since SDKs compare both."""
    properties = encode_composite(Section.PROPERTIES, [None, None, None, None, None, request.message_id])
    application = b"\x00\x53\x74" + encode(dict(response.application_properties))
    return properties + application + b"\x00\x53\x77" + encode(response.body)

"""$management of an entity: the request-response operations of Service Bus.

Operations, names and types of their fields: Microsoft, "AMQP 1.0 in Azure Service Bus: request-response-based
operations".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

from dstream_sandbox.servicebus.amqp.values import Array, Int, Symbol, Timestamp
from dstream_sandbox.servicebus.core import AmqpError, Broker, Delivery, Message, Outcome, ReceiveMode
from dstream_sandbox.servicebus.nodes.addresses import MANAGEMENT_SUFFIX
from dstream_sandbox.servicebus.nodes.client import Client
from dstream_sandbox.servicebus.nodes.intake import parse_transfer
from dstream_sandbox.servicebus.nodes.rendering import lock_token_uuid, render
from dstream_sandbox.servicebus.nodes.requests import Request, Response
from dstream_sandbox.servicebus.nodes.rules import parse_rule, rule_value

__all__ = ["Management"]

_Body = Mapping[str, object]
_ARRAY_OF_LONG, _ARRAY_OF_TIMESTAMP, _ARRAY_OF_STRING = 0x81, 0x83, 0xB1
# DateTime.MaxValue: list sessions that have messages, regardless of when their state changed.
_NO_TIME_MS = 253_402_300_799_000
_OUTCOMES: dict[str, Outcome] = {
    "completed": "complete",
    "abandoned": "abandon",
    "defered": "defer",  # in the service's spelling
    "suspended": "dead_letter",
}
_STATUS = {
    "amqp:not-found": 404,
    "amqp:unauthorized-access": 401,
    "amqp:not-allowed": 403,
    "amqp:not-implemented": 501,
    "com.microsoft:message-lock-lost": 410,
    "com.microsoft:session-lock-lost": 410,
    "com.microsoft:message-not-found": 404,
    "com.microsoft:session-cannot-be-locked": 410,
    "com.microsoft:entity-already-exists": 409,
    "com.microsoft:server-busy": 503,
    "com.microsoft:timeout": 408,
    "amqp:internal-error": 500,
}
_OK, _NO_CONTENT = 200, 204


class Management:
    """The operations on one entity, for one connection."""

    def __init__(self, path: str, broker: Broker, client: Client) -> None:
        self._path = path
        self._broker = broker
        self._client = client
        self._operations: dict[str, Callable[[_Body], Awaitable[object]]] = {
            "renew-lock": self._renew_locks,
            "renew-session-lock": self._renew_session_lock,
            "peek-message": self._peek,
            "schedule-message": self._schedule,
            "cancel-scheduled-message": self._cancel_scheduled,
            "receive-by-sequence-number": self._receive_deferred,
            "update-disposition": self._update_disposition,
            "get-session-state": self._get_session_state,
            "set-session-state": self._set_session_state,
            "get-message-sessions": self._get_message_sessions,
            "enumerate-rules": self._enumerate_rules,
            "add-rule": self._add_rule,
            "remove-rule": self._remove_rule,
        }

    async def answer(self, request: Request) -> Response:
        operation = str(request.application_properties.get("operation", "")).removeprefix("com.microsoft:")
        body = {str(key): value for key, value in request.body.items()} if isinstance(request.body, dict) else {}
        try:
            # A token may be only for this node (@azure/service-bus), so it must grant access to the node's path.
            self._client.require(self._path + MANAGEMENT_SUFFIX, "Send" if "schedule" in operation else "Listen")
            perform = self._operations.get(operation)
            if perform is None:
                raise AmqpError("amqp:not-implemented", f"The sandbox does not support the operation '{operation}'.")
            result = await perform(body)
        except AmqpError as exc:
            return _failure(exc)
        if result is None:
            return Response({"statusCode": Int(_NO_CONTENT), "statusDescription": "No content"})
        return Response({"statusCode": Int(_OK), "statusDescription": "OK"}, result)

    async def _renew_locks(self, body: _Body) -> object:
        until = self._broker.renew_locks(self._path, [token.bytes_le for token in _uuids(body)])
        return {"expirations": Array(_ARRAY_OF_TIMESTAMP, tuple(_timestamp(moment) for moment in until))}

    async def _renew_session_lock(self, body: _Body) -> object:
        return {"expiration": _timestamp(self._broker.renew_session_lock(self._path, _text(body, "session-id")))}

    async def _peek(self, body: _Body) -> object:
        first, count = _integer(body, "from-sequence-number"), _integer(body, "message-count")
        found = self._broker.peek(self._path, first, count, _optional_text(body, "session-id"))
        return {"messages": [{"message": render(delivery, embedded=True)} for delivery in found]} if found else None

    async def _schedule(self, body: _Body) -> object:
        messages = [_scheduled(entry) for entry in _items(body, "messages")]
        numbers = await self._broker.schedule(self._path, messages)
        return {"sequence-numbers": Array(_ARRAY_OF_LONG, tuple(numbers))}

    async def _cancel_scheduled(self, body: _Body) -> object:
        await self._broker.cancel_scheduled(self._path, _integers(body, "sequence-numbers"))
        return {}

    async def _receive_deferred(self, body: _Body) -> object:
        mode: ReceiveMode = "peek_lock" if _integer(body, "receiver-settle-mode") == 1 else "receive_and_delete"
        numbers = _integers(body, "sequence-numbers")
        found = await self._broker.receive_deferred(self._path, numbers, mode, _optional_text(body, "session-id"))
        return {"messages": [_received(delivery) for delivery in found]}

    async def _update_disposition(self, body: _Body) -> object:
        outcome = _OUTCOMES.get(_text(body, "disposition-status"))
        if outcome is None:
            raise AmqpError("com.microsoft:argument-error", f"Unknown disposition '{body.get('disposition-status')}'.")
        changes = body.get("properties-to-modify")
        for token in _uuids(body):
            await self._broker.settle(
                self._path,
                token.bytes_le,
                outcome,
                reason=_optional_text(body, "deadletter-reason") or "",
                description=_optional_text(body, "deadletter-description") or "",
                properties={str(key): value for key, value in changes.items()} if isinstance(changes, dict) else {},
            )
        return {}

    async def _get_session_state(self, body: _Body) -> object:
        return {"session-state": self._broker.get_session_state(self._path, _text(body, "session-id"))}

    async def _set_session_state(self, body: _Body) -> object:
        state = body.get("session-state")
        if state is not None and not isinstance(state, bytes):
            raise AmqpError("com.microsoft:argument-error", "session-state must be binary or null.")
        await self._broker.set_session_state(self._path, _text(body, "session-id"), state)
        return {}

    async def _get_message_sessions(self, body: _Body) -> object:
        updated_ms = _integer(body, "last-updated-time")
        since = None if updated_ms >= _NO_TIME_MS else updated_ms / 1000
        skip, top = _integer(body, "skip"), _integer(body, "top")
        names = self._broker.list_sessions(self._path, since, skip, top)
        if not names:
            return None
        return {"skip": Int(skip + len(names)), "sessions-ids": Array(_ARRAY_OF_STRING, tuple(names))}

    async def _enumerate_rules(self, body: _Body) -> object:
        skip, top = _integer(body, "skip"), _integer(body, "top")
        rules = self._broker.list_rules(self._path)[skip : skip + top]
        return {"rules": [{"rule-description": rule_value(rule)} for rule in rules]} if rules else None

    async def _add_rule(self, body: _Body) -> object:
        description = body.get("rule-description")
        if not isinstance(description, dict):
            raise AmqpError("com.microsoft:argument-error", "rule-description must be a map.")
        await self._broker.add_rule(self._path, parse_rule(_text(body, "rule-name"), description))
        return {}

    async def _remove_rule(self, body: _Body) -> object:
        await self._broker.remove_rule(self._path, _text(body, "rule-name"))
        return {}


def _failure(error: AmqpError) -> Response:
    status = _STATUS.get(error.condition, 400)
    text = error.description or error.condition
    return Response({"statusCode": Int(status), "statusDescription": text, "errorCondition": Symbol(error.condition)})


def _scheduled(entry: object) -> Message:
    encoded = entry.get("message") if isinstance(entry, dict) else None
    if not isinstance(encoded, bytes):
        raise AmqpError("com.microsoft:argument-error", "Each message to schedule must be binary.")
    return parse_transfer(0, encoded)[0]


def _received(delivery: Delivery) -> Mapping[str, object]:
    message = {"message": render(delivery, embedded=True)}
    return {"lock-token": lock_token_uuid(delivery.lock_token), **message} if delivery.lock_token else message


def _timestamp(moment: float) -> Timestamp:
    return Timestamp(int(moment * 1000))


def _text(body: _Body, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise AmqpError("com.microsoft:argument-error", f"{name} must be a string.")
    return value


def _optional_text(body: _Body, name: str) -> str | None:
    return None if body.get(name) is None else _text(body, name)


def _integer(body: _Body, name: str) -> int:
    value = body.get(name, 0)
    if not isinstance(value, int):
        raise AmqpError("com.microsoft:argument-error", f"{name} must be a number.")
    return int(value)


def _items(body: _Body, name: str) -> tuple[object, ...]:
    """The items of a list or an array, since SDKs use both."""
    value = body.get(name)
    if isinstance(value, Array):
        return value.items
    if isinstance(value, list):
        return tuple(value)
    raise AmqpError("com.microsoft:argument-error", f"{name} must be an array.")


def _integers(body: _Body, name: str) -> list[int]:
    values = _items(body, name)
    numbers = [int(value) for value in values if isinstance(value, int)]
    if len(numbers) != len(values):
        raise AmqpError("com.microsoft:argument-error", f"{name} must contain only numbers.")
    return numbers


def _uuids(body: _Body) -> list[UUID]:
    values = _items(body, "lock-tokens")
    tokens = [value if isinstance(value, UUID) else UUID(value) for value in values if isinstance(value, (UUID, str))]
    if len(tokens) != len(values):
        raise AmqpError("com.microsoft:argument-error", "lock-tokens must contain only UUIDs.")
    return tokens

"""$cbs: clients put tokens before they attach to an entity (OASIS AMQP claims-based security, section 3)."""

from __future__ import annotations

from collections.abc import Callable

from dstream_sandbox.servicebus.access import AccessDenied, KeyRing, path_of
from dstream_sandbox.servicebus.amqp.values import Int
from dstream_sandbox.servicebus.core import AmqpError, Broker
from dstream_sandbox.servicebus.faults import Faults
from dstream_sandbox.servicebus.nodes.addresses import entity_of
from dstream_sandbox.servicebus.nodes.client import Client
from dstream_sandbox.servicebus.nodes.requests import Request, Response

__all__ = ["put_token"]


def put_token(
    client: Client,
    request: Request,
    *,
    keys: KeyRing,
    faults: Faults,
    broker: Broker | None,
    clock: Callable[[], float],
) -> Response:
    """Respond with 202, with 401 for an invalid token, or with 404 for an unknown entity.

    The declared type of the token is ignored: azure-servicebus also declares SAS tokens as `jwt`. `broker`: None to
    accept any entity name.
    """
    properties = request.application_properties
    audience = properties.get("name")
    if properties.get("operation") != "put-token" or not isinstance(audience, str):
        return _answer(400, "The operation must be put-token, with the name of a resource.")
    fault = faults.strike("deny_token", entity_of(path_of(audience)))
    if fault is not None:
        return _answer(fault.status, fault.description or "InvalidToken: The sandbox injected this error.")
    token = request.body.decode("latin-1") if isinstance(request.body, bytes) else str(request.body)
    try:
        grant = keys.check_token(token, audience, clock())
    except AccessDenied as exc:
        return _answer(401, str(exc))
    if grant.path and broker is not None and not _exists(broker, entity_of(grant.path)):
        return _answer(404, f"The messaging entity '{audience}' could not be found.")
    client.grant(grant)
    return _answer(202, "Accepted")


def _exists(broker: Broker, path: str) -> bool:
    try:
        broker.require(path, for_send=False)
    except AmqpError as exc:
        return exc.condition != "amqp:not-found"
    return True


def _answer(status: int, description: str) -> Response:
    return Response({"status-code": Int(status), "status-description": description})

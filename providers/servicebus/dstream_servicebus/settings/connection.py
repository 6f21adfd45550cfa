"""The settings that say how to connect, as users write them; `access.py` combines them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from dstream.sdk import Secret, identifier, run_only
from dstream_servicebus.settings.infrastructure import ServiceBusInfrastructure

_RUN_ONLY_IN_ARM = run_only(mode="arm")
"""In mode entities, lifecycle commands need these too."""

Credential = Literal["default", "managed_identity", "workload_identity", "client_secret", "cli"]
Transport = Literal["amqp", "websocket"]


class ServiceBusConnection(ServiceBusInfrastructure, frozen=True, kw_only=True):
    """Where the namespace is, and who connects. A chain, because a msgspec.Struct has only one base with fields."""

    connection_string: Annotated[
        Secret[str] | None, Meta(description="Endpoint=sb://..;SharedAccessKey.."), _RUN_ONLY_IN_ARM
    ] = None
    connection: Annotated[
        Literal["stack"] | None,
        Meta(description="stack: publish to what init provisioned, with its key or, with credential, with Entra ID"),
    ] = None
    output_secret: Annotated[
        str | None,
        Meta(description="azurekeyvault://VAULT/NAME: init writes the stack's connection string there, run reads it"),
        identifier(),
    ] = None
    namespace: Annotated[
        str | None,
        Meta(description="short or full host name; where to publish without a connection string"),
        identifier(),
    ] = None
    credential: Annotated[Credential | None, Meta(description="how to sign in to Entra ID"), _RUN_ONLY_IN_ARM] = None
    tenant_id: Annotated[str | None, _RUN_ONLY_IN_ARM, identifier()] = None
    client_id: Annotated[str | None, _RUN_ONLY_IN_ARM, identifier()] = None
    client_secret: Annotated[Secret[str] | None, _RUN_ONLY_IN_ARM] = None
    admin_connection_string: Annotated[
        Secret[str] | None,
        Meta(description="for a separate administration endpoint (emulator, sandbox)"),
        _RUN_ONLY_IN_ARM,
    ] = None
    ca_file: Annotated[
        str | None,
        Meta(description="PEM file of the CA that signed the broker's certificate"),
        _RUN_ONLY_IN_ARM,
        identifier(),
    ] = None

    allow_plaintext: Annotated[
        bool,
        Meta(description="allow UseDevelopmentEmulator=true, which connects without TLS, with another machine"),
        _RUN_ONLY_IN_ARM,
    ] = False

    transport: Annotated[
        Transport,
        Meta(description="websocket: AMQP in a WebSocket on port 443, for networks that allow only HTTPS"),
        _RUN_ONLY_IN_ARM,
    ] = "amqp"
    proxy: Annotated[
        Secret[str] | None,
        Meta(description="http://[USER:PASSWORD@]HOST:PORT, an HTTP proxy; needs transport = websocket"),
        _RUN_ONLY_IN_ARM,
    ] = None
    custom_endpoint: Annotated[
        str | None,
        Meta(description="sb://HOST[:PORT], an address that leads to the namespace, such as an application gateway"),
        _RUN_ONLY_IN_ARM,
        identifier(),
    ] = None

    original_connection_string: Annotated[Secret[str] | None, _RUN_ONLY_IN_ARM] = msgspec.field(
        default=None, name="connectionString"
    )

"""Creates clients of the namespace from the settings. Imports azure, so it is imported only at the provider's start."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import certifi
from azure.servicebus import ServiceBusClient, TransportType
from azure.servicebus.management import ServiceBusAdministrationClient

from dstream.sdk.errors import ConfigError
from dstream_servicebus.access import Access, Entra, endpoint_of, is_emulator
from dstream_servicebus.entities.first_rule import FirstRuleTransport
from dstream_servicebus.settings.connection import Transport

if TYPE_CHECKING:
    import socket

    from azure.core.credentials import TokenCredential

_TRANSPORTS: Mapping[Transport, TransportType] = {
    "amqp": TransportType.Amqp,
    "websocket": TransportType.AmqpOverWebsocket,
}
_PORTS: Mapping[Transport, int] = {"amqp": 5671, "websocket": 443}
HANDSHAKE_S = 10.0
"""Maximum time of a TLS handshake."""
SIGN_IN: dict[str, Any] = {"connection_timeout": 5, "read_timeout": 10, "retry_total": 1}
"""A sign-in must fail before the watchdog aborts the link that needs it, since it cannot end a request. By default, one
request has ten minutes for each of four attempts (azure-core, ConnectionConfiguration and RetryPolicy)."""


class Connector:
    """Creates clients with separate connections and a shared credential."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._credential = _credential(access.entry) if isinstance(access.entry, Entra) else None

    @property
    def host(self) -> str:
        """The namespace's host, with the port if the endpoint has one."""
        entry = self._access.entry
        return _full_host(entry.namespace) if isinstance(entry, Entra) else urlsplit(endpoint_of(entry)).netloc

    @property
    def plaintext_hosts(self) -> tuple[str, ...]:
        """Other machines that are connected to without TLS."""
        return self._access.plaintext_hosts

    @property
    def hint(self) -> str:
        """What to check if the namespace is unreachable."""
        if self._access.proxy is not None:
            return "Check the proxy, that it can reach the endpoint, and the CA (ca_file)."
        port = _PORTS[self._access.transport]
        return f"Check the endpoint, that its port is reachable ({port} on Azure) and, for TLS, the CA (ca_file)."

    def client(self) -> ServiceBusClient:
        """Return a new client. Raises ConfigError for an invalid connection string."""
        access, entry = self._access, self._access.entry
        options: dict[str, Any] = {
            "retry_total": 0,  # `retry.py` decides about retries
            "transport_type": _TRANSPORTS[access.transport],
        }
        if access.transport == "amqp":
            options["ssl_context"] = self._tls
        else:  # which limits the handshake itself
            options["connection_verify"] = access.ca_file
        if access.proxy is not None:
            options["http_proxy"] = _http_proxy(access.proxy)
        if isinstance(entry, Entra):
            options |= _endpoint(access, f"sb://{_full_host(entry.namespace)}")
            return ServiceBusClient(_full_host(entry.namespace), self._shared_credential(), **options)
        if not is_emulator(entry):
            options |= _endpoint(access, endpoint_of(entry))
        elif access.transport == "websocket":
            raise ConfigError(
                "servicebus.no_websocket",
                "with UseDevelopmentEmulator=true, there is no WebSocket to connect to",
                hint="Remove transport, or use an endpoint with TLS.",
                config_path="transport",
            )
        with _readable("connection_string"):
            return ServiceBusClient.from_connection_string(entry, **options)

    def administration(self, *, patient: bool = False) -> ServiceBusAdministrationClient | None:
        """Return a client for the entities' settings, or None if the administration endpoint is unknown. `patient`, for
        creating entities: retry for about half a minute when throttled.
        """
        entry = self._access.entry
        options: dict[str, Any] = {"retry_total": 0, "connection_timeout": 5, "read_timeout": 5}
        if patient:
            options = {"retry_total": 5, "retry_status": 5, "connection_timeout": 10, "read_timeout": 60}
        if self._access.ca_file:
            options["connection_verify"] = self._access.ca_file
        if self._access.proxy is not None:
            options["proxies"] = {"https": self._access.proxy}
        if patient:
            options["transport"] = FirstRuleTransport(**options)
        if self._access.admin_connection_string is not None:
            with _readable("admin_connection_string"):
                return ServiceBusAdministrationClient.from_connection_string(
                    self._access.admin_connection_string, **options
                )
        if isinstance(entry, Entra):
            return ServiceBusAdministrationClient(_full_host(entry.namespace), self._shared_credential(), **options)
        if is_emulator(entry):
            return None  # its administration endpoint has a port that the connection string does not include
        with _readable("connection_string"):
            return ServiceBusAdministrationClient.from_connection_string(entry, **options)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """The context that azure-servicebus would create (`_wrap_socket_sni` in its _pyamqp/_transport.py)."""
        context = _TlsContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self._access.ca_file or certifi.where())
        return context

    def _shared_credential(self) -> TokenCredential:
        assert self._credential is not None  # created for every Entra
        return self._credential


class _TlsContext(ssl.SSLContext):
    """Limits the handshake. azure-servicebus does not: a peer that accepts connections and says nothing blocks it."""

    def wrap_socket(self, sock: socket.socket, *args: Any, **options: Any) -> ssl.SSLSocket:
        sock.settimeout(HANDSHAKE_S)
        return super().wrap_socket(sock, *args, **options)


@contextmanager
def _readable(setting: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ConfigError(
            "servicebus.bad_connection_string",
            f"{setting} is not a valid connection string: {error}",
            hint="Expected: Endpoint=sb://NAME.servicebus.windows.net/;SharedAccessKeyName=..;SharedAccessKey=..",
            config_path=setting,
        ) from error


def _credential(entra: Entra) -> TokenCredential:
    import azure.identity as identity

    match entra.credential:
        case "default":
            return identity.DefaultAzureCredential(**SIGN_IN)
        case "managed_identity":
            return identity.ManagedIdentityCredential(client_id=entra.client_id or None, **SIGN_IN)
        case "workload_identity":
            return identity.WorkloadIdentityCredential(
                tenant_id=entra.tenant_id or None, client_id=entra.client_id or None, **SIGN_IN
            )
        case "cli":
            return identity.AzureCliCredential()
        case "client_secret":
            return identity.ClientSecretCredential(entra.tenant_id, entra.client_id, entra.client_secret, **SIGN_IN)


def _full_host(namespace: str) -> str:
    host = namespace.removeprefix("sb://").rstrip("/")
    return host if "." in host or ":" in host else f"{host}.servicebus.windows.net"


def _endpoint(access: Access, endpoint: str) -> dict[str, Any]:
    """Where to connect instead. With TLS, the SDK ignores the port of an endpoint unless it is a custom endpoint."""
    if access.custom_endpoint is not None:
        return {"custom_endpoint_address": access.custom_endpoint}
    address = urlsplit(endpoint)
    if not address.hostname or address.port in (None, _PORTS[access.transport]):
        return {}
    return {"custom_endpoint_address": f"sb://{address.hostname}:{address.port}"}


def _http_proxy(url: str) -> dict[str, Any]:
    """The proxy as azure-servicebus wants it."""
    parts = urlsplit(url)
    return {
        "proxy_hostname": parts.hostname,
        "proxy_port": parts.port,
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
    }

"""How to connect to the namespace: the rules for combining the settings of a connection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec

from dstream.sdk import Secret
from dstream.sdk.errors import ConfigError
from dstream.sdk.loopback import is_loopback
from dstream_servicebus.config import Config, either
from dstream_servicebus.settings.connection import Credential, Transport

_EMULATOR = re.compile(r"(?i:;|^)\s*(?i:UseDevelopmentEmulator)=true\s*(?:;|$)")
_ENDPOINT = re.compile(r"(?:^|;)\s*Endpoint=([^;]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entra:
    """Credentials for Entra ID; empty fields come from the credential's environment."""

    namespace: str
    credential: Credential
    tenant_id: str
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Access:
    """How to connect to the namespace."""

    entry: Entra | str = field(repr=False)
    """Credentials for Entra ID, or a connection string."""
    admin_connection_string: str | None = field(repr=False)
    ca_file: str | None = None
    transport: Transport = "amqp"
    proxy: str | None = field(default=None, repr=False)
    """URL, without which connections are direct; checked."""
    custom_endpoint: str | None = None
    """`sb://HOST[:PORT]`, checked."""
    plaintext_hosts: tuple[str, ...] = ()
    """Other machines that are connected to without TLS, which the task allows; warn about them at each start."""


def access(config: Config, stack: Mapping[str, Any] | None = None) -> Access:
    """Return how to connect. Raises ConfigError if the settings specify no connection, or more than one.

    `stack`: the outputs of the stack, for `connection = "stack"`.
    """
    connection_string = either(
        config.connection_string, config.original_connection_string, "connection_string", "connectionString"
    )
    if config.connection == "stack":
        _check_one_connection(connection_string)
        if publishes_with_key(config):
            connection_string = Secret(_stack_output(stack, "connection_string"))
        else:
            config = msgspec.structs.replace(config, namespace=_host(_stack_output(stack, "endpoint")))
    if connection_string is not None and config.credential is not None:
        raise ConfigError(
            "servicebus.two_credentials",
            "credential has no effect with connection_string, which contains a key",
            hint="Remove one of the two.",
            config_path="credential",
        )
    entry = connection_string.reveal() if connection_string is not None else _entra(config)
    admin_connection_string = config.admin_connection_string.reveal() if config.admin_connection_string else None
    return Access(
        entry=entry,
        admin_connection_string=admin_connection_string,
        ca_file=config.ca_file,
        transport=config.transport,
        proxy=_proxy(config),
        custom_endpoint=_custom_endpoint(config),
        plaintext_hosts=(
            *_plaintext_hosts(entry if isinstance(entry, str) else None, "connection_string", config),
            *_plaintext_hosts(admin_connection_string, "admin_connection_string", config),
        ),
    )


def publishes_with_key(config: Config) -> bool:
    """Whether `connection = "stack"` needs a key of the namespace, rather than a sign-in to Entra ID."""
    return config.connection == "stack" and config.credential is None and not config.disable_local_auth


def is_emulator(connection_string: str) -> bool:
    """Parse as the SDK does: the value is case-sensitive, the key is not."""
    return bool(_EMULATOR.search(connection_string))


def endpoint_of(connection_string: str) -> str:
    """Return the address in a connection string; "" if there is none."""
    match = _ENDPOINT.search(connection_string)
    return match[1].strip() if match else ""


def _plaintext_hosts(connection_string: str | None, setting: str, config: Config) -> tuple[str, ...]:
    """Return the host if it is another machine that is connected to without TLS.

    azure-servicebus turns TLS off for UseDevelopmentEmulator=true (`_base_handler.py`). Raises ConfigError
    `servicebus.plaintext` unless the task allows it.
    """
    if connection_string is None or not is_emulator(connection_string):
        return ()
    try:
        host = urlsplit(endpoint_of(connection_string)).hostname or "an unknown host"
    except ValueError:  # brackets without an address
        host = "an unknown host"
    if is_loopback(host):
        return ()
    if not config.allow_plaintext:
        raise ConfigError(
            "servicebus.plaintext",
            f"UseDevelopmentEmulator=true connects to {host} without TLS: messages and keys can be read in transit",
            hint="Remove it to connect with TLS. For an emulator on another machine, set allow_plaintext = true.",
            config_path="connection" if config.connection == "stack" and setting == "connection_string" else setting,
        )
    return (host,)


def _check_one_connection(connection_string: Secret[str] | None) -> None:
    if connection_string is not None:
        raise ConfigError(
            "servicebus.two_connections",
            'connection = "stack" and connection_string are both set',
            hint="Remove one of the two.",
            config_path="connection",
        )


def _stack_output(stack: Mapping[str, Any] | None, name: str) -> str:
    if stack is None or not stack.get(name):
        raise ConfigError(
            "servicebus.no_stack_connection",
            f'connection = "stack", but the stack has no {name.replace("_", " ")} yet',
            hint="Run `dstream init` first.",
            config_path="connection",
        )
    return str(stack[name])


def _host(endpoint: str) -> str:
    """`sb-orders.servicebus.windows.net` of `https://sb-orders.servicebus.windows.net:443/`."""
    return urlsplit(endpoint).hostname or ""


def _entra(config: Config) -> Entra:
    if config.namespace is None:
        raise ConfigError(
            "servicebus.no_connection",
            "no Service Bus to publish to: neither connection_string nor namespace is set",
            hint="Set connection_string, or namespace with a credential for Entra ID.",
            config_path="connection_string",
        )
    credential = config.credential or "default"
    if credential == "client_secret" and not (config.tenant_id and config.client_id and config.client_secret):
        raise ConfigError(
            "servicebus.incomplete_credential",
            'credential "client_secret" needs tenant_id, client_id and client_secret',
            config_path="credential",
        )
    return Entra(
        config.namespace,
        credential,
        config.tenant_id or "",
        config.client_id or "",
        config.client_secret.reveal() if config.client_secret else "",
    )


def _proxy(config: Config) -> str | None:
    """Return the proxy's URL. azure-servicebus passes only host, port and credentials on, for a proxy without TLS."""
    if config.proxy is None:
        return None
    if config.transport != "websocket":
        raise ConfigError(
            "servicebus.proxy_needs_websocket",
            "an HTTP proxy cannot forward plain AMQP",
            hint='Set transport = "websocket".',
            config_path="proxy",
        )
    url = config.proxy.reveal()
    if not _is_address(url, "http"):
        raise ConfigError(
            "servicebus.bad_proxy",
            "proxy is not the URL of an HTTP proxy",
            hint="Expected: http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT with special characters as %XX.",
            config_path="proxy",
        )
    return url


def _custom_endpoint(config: Config) -> str | None:
    if config.custom_endpoint is None or _is_address(config.custom_endpoint, "sb"):
        return config.custom_endpoint
    raise ConfigError(
        "servicebus.bad_custom_endpoint",
        f'"{config.custom_endpoint}" is not an address to connect to',
        hint="Expected: sb://HOST or sb://HOST:PORT.",
        config_path="custom_endpoint",
    )


def _is_address(url: str, scheme: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == scheme and bool(parts.hostname) and (parts.port is not None or scheme == "sb")
    except ValueError:  # of the port
        return False

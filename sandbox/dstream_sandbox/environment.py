"""`sandbox env`: the variables for connecting to the sandbox. Their names and meanings are a contract."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path

import certifi

from dstream_sandbox.control_access import ensure_token
from dstream_sandbox.folder import (
    ARM_PATH,
    DATABASE,
    KEY_NAME,
    NAMESPACE,
    RESOURCE_GROUP,
    SQL_USER,
    SUBSCRIPTION_ID,
    Folder,
    Settings,
)

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def environment(folder: Folder, settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables. Also writes the CA bundle: the CAs trusted in `environ`, plus the sandbox's own."""
    bundle = _write_bundle(folder, environ)
    return {
        "MSSQL_HOST": "127.0.0.1",
        "MSSQL_PORT": str(settings.sql_port),
        "MSSQL_USER": SQL_USER,
        "MSSQL_PASSWORD": settings.sql_password,
        "MSSQL_DATABASE": DATABASE,
        "MSSQL_CONNECTION_STRING": odbc_connection_string(settings),
        "ASB_CONNECTION_STRING": servicebus_connection_string(settings),
        "ASB_ADMIN_CONNECTION_STRING": admin_connection_string(settings),
        "ASB_AMQP_PORT": str(settings.amqp_port),
        "ASB_AMQPS_PORT": str(settings.amqps_port),
        "ASB_ADMIN_PORT": str(settings.admin_port),
        "SANDBOX_CONTROL_TOKEN": ensure_token(folder.control_token),
        "SANDBOX_CA_FILE": str(folder.ca_file),
        "REQUESTS_CA_BUNDLE": str(bundle),
        "NODE_EXTRA_CA_CERTS": str(bundle),
        "SSL_CERT_FILE": str(bundle),
        "ASB_NAMESPACE": NAMESPACE,
        "ASB_RESOURCE_GROUP": RESOURCE_GROUP,
        "PULUMI_DEBUG_PROVIDERS": f"azure-native:{settings.azure_port}",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "ARM_SUBSCRIPTION_ID": SUBSCRIPTION_ID,
        "ARM_METADATA_HOSTNAME": f"https://localhost:{settings.admin_port}{ARM_PATH}",
    }


def shell_exports(variables: Mapping[str, str]) -> str:
    """`export NAME='value'` lines for `eval`."""
    return "".join(f"export {name}={_quoted(value)}\n" for name, value in variables.items())


def odbc_connection_string(settings: Settings) -> str:
    return (
        f"Server=127.0.0.1,{settings.sql_port};Database={DATABASE};UID={SQL_USER};PWD={settings.sql_password};"
        "Encrypt=yes;TrustServerCertificate=yes"
    )


def servicebus_connection_string(settings: Settings) -> str:
    return _servicebus(settings, settings.amqp_port)


def admin_connection_string(settings: Settings) -> str:
    return _servicebus(settings, settings.admin_port)


def _servicebus(settings: Settings, port: int) -> str:
    """UseDevelopmentEmulator makes the SDK keep the port and use AMQP without TLS."""
    return (
        f"Endpoint=sb://localhost:{port};SharedAccessKeyName={KEY_NAME};"
        f"SharedAccessKey={settings.servicebus_key};UseDevelopmentEmulator=true;"
    )


def _quoted(value: str) -> str:
    quoted = shlex.quote(value)
    return quoted if quoted.startswith("'") else f"'{value}'"


def _write_bundle(folder: Folder, environ: Mapping[str, str]) -> Path:
    """Write the bundle to a file named by its hash, so that it never changes for a shell that uses it."""
    texts = [file.read_text() for file in _bundles_in_force(environ)]
    certificates = dict.fromkeys(each for text in [*texts, folder.ca_file.read_text()] for each in _PEM.findall(text))
    bundle = "\n".join(certificates) + "\n"
    path = folder.tls / f"ca-bundle-{hashlib.sha256(bundle.encode()).hexdigest()[:12]}.pem"
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.touch(0o600)
    temporary.write_text(bundle)
    temporary.replace(path)
    return path


def _bundles_in_force(environ: Mapping[str, str]) -> Iterator[Path]:
    """The bundles that `requests` (its documentation, "SSL Cert Verification"), Python's ssl and OpenSSL trust now.

    After an earlier `eval`, this is the sandbox's own bundle, which includes the original ones.
    """
    requests = environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE") or certifi.where()
    openssl = environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile or certifi.where()
    for name in (requests, openssl):
        if Path(name).is_file():
            yield Path(name)

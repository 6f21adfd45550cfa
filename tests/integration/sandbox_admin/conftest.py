"""A separate Service Bus process with its own CA, and Microsoft's administration client as its client."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from azure.servicebus.management import ServiceBusAdministrationClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

KEY_NAME = "RootManageSharedAccessKey"
KEY = "c2FuZGJveC1rZXktb2YtdGhlLXRlc3Rz"


@dataclass(frozen=True)
class Namespace:
    admin_port: int
    amqp_port: int
    ca_file: Path
    control_token: str

    def connection_string(self, port: int, *, key: str = KEY, emulator: bool = False) -> str:
        end = ";UseDevelopmentEmulator=true" if emulator else ""
        return f"Endpoint=sb://localhost:{port};SharedAccessKeyName={KEY_NAME};SharedAccessKey={key}{end}"

    def admin(self, *, key: str = KEY) -> ServiceBusAdministrationClient:
        return ServiceBusAdministrationClient.from_connection_string(
            self.connection_string(self.admin_port, key=key), connection_verify=str(self.ca_file), retry_total=0
        )


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, server.pem and server.key."""
    folder = tmp_path_factory.mktemp("certificates")
    ca_key, ca = _certificate("Sandbox test CA", None, None)
    key, server = _certificate("localhost", ca_key, ca)
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (folder / "server.pem").write_bytes(server.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder


@contextmanager
def running(folder: Path, certificates: Path, profile: str = "standard") -> Iterator[Namespace]:
    """A separate process, with its data in `folder`."""
    (folder / "key").write_text(KEY)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "dstream_sandbox.servicebus", "--data", str(folder)),
            *("--cert", str(certificates / "server.pem"), "--key", str(certificates / "server.key")),
            *("--key-name", KEY_NAME, "--key-file", str(folder / "key"), "--profile", profile),
        ],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    yield Namespace(
        ready["admin_port"], ready["amqp_port"], certificates / "ca.pem", (folder / "control.token").read_text()
    )
    process.terminate()
    assert process.wait(60) == 0
    process.stdout.close()


@pytest.fixture(scope="session")
def namespace(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[Namespace]:
    with running(tmp_path_factory.mktemp("namespace"), certificates) as namespace:
        yield namespace


@pytest.fixture(scope="session")
def admin(namespace: Namespace) -> Iterator[ServiceBusAdministrationClient]:
    with namespace.admin() as client:
        yield client


def _certificate(
    name: str, issuer_key: ec.EllipticCurvePrivateKey | None, issuer: x509.Certificate | None
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer:
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return key, builder.sign(issuer_key or key, hashes.SHA256())

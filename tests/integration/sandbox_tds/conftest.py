"""A listener on the scripted engine, its certificate, and ways to connect with real drivers."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pymssql
import pyodbc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from dstream_sandbox.sqlserver.server import SqlServer

from tests.integration.sandbox_tds.scripted_engine import PASSWORD, ScriptedEngine

pyodbc.pooling = False


@dataclass(frozen=True)
class Listener:
    """A running server and how to reach it."""

    engine: ScriptedEngine
    port: int

    def connection_string(self, extra: str = "") -> str:
        """A connection string for Microsoft's driver."""
        return (
            f"DRIVER={odbc_driver()};SERVER=127.0.0.1,{self.port};DATABASE=demo;UID=sa;PWD={PASSWORD};"
            f"TrustServerCertificate=yes;{extra}"
        )

    def odbc(self, extra: str = "", **options: bool) -> pyodbc.Connection:
        """Connect with Microsoft's driver. It uses the first of repeated keywords, so `extra` comes first."""
        options = {"autocommit": True, **options}
        return pyodbc.connect(extra + ";" + self.connection_string(), timeout=60, **options)

    def freetds(self, **options: Any) -> pymssql.Connection:
        """Connect with FreeTDS, through pymssql."""
        return pymssql.connect(
            server="127.0.0.1",
            port=str(self.port),
            user="sa",
            password=PASSWORD,
            database="demo",
            login_timeout=60,
            **({"autocommit": True} | options),
        )


def odbc_driver() -> Path:
    """The driver inside the package mssql-python-odbc."""
    spec = find_spec("mssql_python_odbc")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(next(iter(spec.submodule_search_locations))) / "libs/linux/debian_ubuntu/x86_64/lib"
    return next(folder.glob("libmsodbcsql*"))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


@pytest.fixture
def start(certificate: tuple[Path, Path]) -> Iterator[Callable[..., Listener]]:
    """Starts listeners, each with its own engine."""
    servers: list[SqlServer] = []

    def start_one(**options: Any) -> Listener:
        engine = ScriptedEngine()
        server = SqlServer(engine, certificate=certificate[0], key=certificate[1], **options)
        servers.append(server)
        return Listener(engine, server.port)

    yield start_one
    for server in servers:
        server.close()


@pytest.fixture
def listener(start: Callable[..., Listener]) -> Listener:
    return start()


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Wait for a condition, for at most a minute."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "the condition did not become true"
            time.sleep(0.005)

    return wait

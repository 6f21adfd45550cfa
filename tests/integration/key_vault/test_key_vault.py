"""Azure's own client library reads from a stand-in for the vault and Entra ID, over TLS, port 443."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from azure.keyvault.secrets._shared import http_challenge_cache
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dstream.config import Project, load
from dstream.config.values.key_vault import KeyVaults
from dstream.config.values.key_vault_secret import KeyVaultSecret
from dstream.errors import AuthError, ConfigErrors, DStreamError, UnreachableError

VAULT, LOGIN = "retail.vault.azure.net", "login.microsoftonline.com"
TENANT = "7ec5c7a2-8a2a-4b1b-9d5c-0d9f6d1c2b3a"


class StandIn:
    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.released = threading.Event()
        self.ca = folder / "ca.pem"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate(folder))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def stop(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def _certificate(self, folder: Path) -> Path:
        import datetime

        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in")])
        hosts = x509.SubjectAlternativeName([x509.DNSName(VAULT), x509.DNSName(LOGIN)])
        certificate = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1)).add_extension(hosts, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
        )  # fmt: skip
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.ca.write_bytes(pem)
        (folder / "server.pem").write_bytes(private + pem)
        return folder / "server.pem"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if b"right" in body:
                    self._say(200, {"access_token": "t0ken", "expires_in": 3600, "token_type": "Bearer"})
                else:
                    self._say(401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid wr0ng"})

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if not path.startswith("/secrets/"):
                    base = f"https://{LOGIN}/{TENANT}"
                    self._say(200, {"tenant_discovery_endpoint": f"{base}/v2.0/.well-known/openid-configuration", "metadata": [],
                                    "issuer": f"{base}/v2.0", "token_endpoint": f"{base}/oauth2/v2.0/token",
                                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize"})  # fmt: skip
                elif self.headers.get("Authorization") != "Bearer t0ken":
                    challenge = f'Bearer authorization="https://{LOGIN}/{TENANT}", resource="https://vault.azure.net"'
                    self._say(401, {}, challenge)
                else:
                    stand_in.asked.append(path.rstrip("/"))
                    self._secret(path.split("/")[2])

            def _secret(self, name: str) -> None:
                if name == "stalls":
                    stand_in.released.wait(20)
                if name == "closed":
                    error = {"code": "Forbidden", "message": "Zq7", "innererror": {"code": "ForbiddenByRbac"}}
                    self._say(403, {"error": error})
                elif name == "absent":
                    self._say(404, {"error": {"code": "SecretNotFound", "message": "Zq7"}})
                else:
                    self._say(
                        200, {"value": "Zq7Vault4Kx", "id": f"https://{VAULT}/secrets/{name}/1", "attributes": {}}
                    )

            def _say(self, status: int, document: object, challenge: str = "") -> None:
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                if challenge:
                    self.send_header("WWW-Authenticate", challenge)
                self.end_headers()
                self.wfile.write(body)

        return Handler


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    stand_in = StandIn(tmp_path_factory.mktemp("vault"))
    yield stand_in
    stand_in.stop()


@pytest.fixture
def vault(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The stand-in, reachable under Azure's host names; no other name resolves."""
    look_up = socket.getaddrinfo

    def found(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        if host in (VAULT, LOGIN):
            return look_up("127.0.0.1", server.server.server_address[1], *rest, **more)
        raise socket.gaierror(-2, "Name or service not known")

    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "AZURE_AUTHORITY_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", found)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca))
    for name, value in {"TENANT_ID": TENANT, "CLIENT_ID": "app", "CLIENT_SECRET": "right"}.items():
        monkeypatch.setenv(f"AZURE_{name}", value)
    http_challenge_cache.clear()
    server.asked.clear()
    return server


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., Project]:
    def loaded(expression: str, **how: Any) -> Project:
        hcl = f'task "t" {{\n  input {{\n    provider = "p"\n    config {{\n      a = {expression}\n    }}\n  }}\n  output {{\n    provider = "q"\n  }}\n}}\n'
        (tmp_path / "dstream.hcl").write_text(hcl)
        return load(tmp_path / "dstream.hcl", environ={}, **how)

    return loaded


def failure(load_it: Callable[[], Any]) -> DStreamError:
    with pytest.raises((ConfigErrors, DStreamError)) as caught:
        load_it()
    error = caught.value
    found = error.errors[0] if isinstance(error, ConfigErrors) else error
    assert isinstance(found, DStreamError)
    assert "Zq7" not in f"{found.message}{found.hint}"
    assert found.place is not None
    assert found.place.line == 5
    return found


def test_a_secret_is_read_once_and_marked(vault: StandIn, loaded: Callable[..., Project]) -> None:
    block = (
        loaded('["x-${secret("azurekeyvault://retail/key")}", secret("azurekeyvault://retail.vault.azure.net/key")]')
        .tasks["t"]
        .input
    )
    assert block.config == {"a": ["x-Zq7Vault4Kx", "Zq7Vault4Kx"]}
    assert "Zq7Vault4Kx" in block.secrets
    assert vault.asked == ["/secrets/key"]


def test_a_version_can_be_requested(vault: StandIn, loaded: Callable[..., Project]) -> None:
    loaded('secret("azurekeyvault://retail/key/0abc")')
    assert vault.asked == ["/secrets/key/0abc"]


@pytest.mark.parametrize("how", [{"ask_vaults": False}, {"roles": ["output"]}, {"only": ()}])
def test_an_unused_block_does_not_query_the_vault(
    vault: StandIn, loaded: Callable[..., Project], how: dict[str, Any]
) -> None:
    block = loaded('secret("azurekeyvault://retail/key")', **how).tasks["t"].input
    assert dict(block.config) == {}
    assert block.unread == ({"a"} if "ask_vaults" in how else frozenset())
    assert vault.asked == []


def test_a_missing_secret_is_named(vault: StandIn, loaded: Callable[..., Project]) -> None:
    found = failure(lambda: loaded('secret("azurekeyvault://retail/absent")'))
    assert (found.code, found.message) == ("keyvault.secret_not_found", f"secret absent not found in key vault {VAULT}")


def test_denied_access_gives_azures_reason_even_inside_try(vault: StandIn, loaded: Callable[..., Project]) -> None:
    found = failure(lambda: loaded('try(secret("azurekeyvault://retail/closed"), "x")'))
    assert (type(found), found.code) == (AuthError, "keyvault.no_access")
    assert "(ForbiddenByRbac)" in found.message


def test_a_failed_sign_in_reports_only_the_entra_id_code(
    vault: StandIn, loaded: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "wr0ng")
    found = failure(lambda: loaded('secret("azurekeyvault://retail/key")'))
    assert (found.code, found.message) == (
        "keyvault.not_signed_in",
        f"not signed in to key vault {VAULT} (AADSTS7000215)",
    )
    assert capfd.readouterr() == ("", "")


def test_a_stalled_vault_times_out_at_the_deadline(vault: StandIn) -> None:
    with pytest.raises(UnreachableError, match=r"did not respond within 0\.3 s"):
        KeyVaults(deadline_s=0.3).read(KeyVaultSecret(VAULT, "stalls"))


def test_an_untrusted_certificate_is_refused(
    vault: StandIn, monkeypatch: pytest.MonkeyPatch, loaded: Callable[..., Project]
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    found = failure(lambda: loaded('secret("azurekeyvault://retail/key")'))
    assert found.code == "keyvault.unreachable"
    assert "certificate is not trusted" in found.message

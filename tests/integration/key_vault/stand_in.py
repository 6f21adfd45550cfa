"""A stand-in for Key Vault and Entra ID, over TLS, port 443; other processes reach it through its proxy."""

from __future__ import annotations

import datetime
import json
import select
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VAULT, LOGIN = "retail.vault.azure.net", "login.microsoftonline.com"
TENANT = "7ec5c7a2-8a2a-4b1b-9d5c-0d9f6d1c2b3a"


class StandIn:
    def __init__(self, folder: Path, *, keeps: bool = False) -> None:
        """`keeps`: it has only the secrets that were written; otherwise every secret has the same value."""
        self.asked: list[str] = []
        self.written: dict[str, str] = {}
        self.deleted: dict[str, str] = {}
        self.keeps = keeps
        self.released = threading.Event()
        self.ca = folder / "ca.pem"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate(folder))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.proxy = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.threads = [
            threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.02})
            for each in (self.server, self.proxy)
        ]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.released.set()
        for server in (self.server, self.proxy):
            server.shutdown()
            server.server_close()
        for thread in self.threads:
            thread.join()

    @property
    def env(self) -> dict[str, str]:
        """How other processes reach it, signed in."""
        return {
            "HTTPS_PROXY": f"http://127.0.0.1:{self.proxy.server_address[1]}",
            "NO_PROXY": "127.0.0.1,localhost",
            "REQUESTS_CA_BUNDLE": str(self.ca),
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": "app",
            "AZURE_CLIENT_SECRET": "right",
        }

    def _certificate(self, folder: Path) -> Path:
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
                if self.path.startswith("/deletedsecrets/"):
                    if self._is_signed_in():
                        self._recover(self.path.split("/")[2])
                    return
                if b"right" in body:
                    self._say(200, {"access_token": "t0ken", "expires_in": 3600, "token_type": "Bearer"})
                else:
                    self._say(401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid wr0ng"})

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path.startswith("/deletedsecrets/"):
                    self._deleted(path.split("/")[2])
                elif not path.startswith("/secrets/"):
                    base = f"https://{LOGIN}/{TENANT}"
                    self._say(200, {"tenant_discovery_endpoint": f"{base}/v2.0/.well-known/openid-configuration", "metadata": [],
                                    "issuer": f"{base}/v2.0", "token_endpoint": f"{base}/oauth2/v2.0/token",
                                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize"})  # fmt: skip
                elif self._is_signed_in():
                    stand_in.asked.append(path.rstrip("/"))
                    self._secret(path.split("/")[2])

            def do_PUT(self) -> None:
                name = self.path.partition("?")[0].split("/")[2]
                value = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}").get("value")
                if not self._is_signed_in():
                    return
                if name == "closed":
                    self._say(403, {"error": {"code": "Forbidden", "innererror": {"code": "ForbiddenByRbac"}}})
                elif name == "deleted" or name in stand_in.deleted:
                    self._conflict("ObjectIsDeletedButRecoverable")
                else:
                    stand_in.written[name] = value
                    self._secret(name)

            def do_DELETE(self) -> None:
                name = self.path.partition("?")[0].split("/")[2]
                if not self._is_signed_in():
                    return
                if name in stand_in.written:
                    stand_in.deleted[name] = stand_in.written.pop(name)
                    self._deleted(name)
                else:
                    self._secret("closed" if name == "closed" else "absent")

            def do_CONNECT(self) -> None:
                """Be a proxy, for other processes: everything is here."""
                self.send_response(200)
                self.end_headers()
                self.close_connection = True
                with socket.create_connection(stand_in.server.server_address[:2]) as upstream:
                    _relay(self.connection, upstream)

            def _is_signed_in(self) -> bool:
                if self.headers.get("Authorization") == "Bearer t0ken":
                    return True
                challenge = f'Bearer authorization="https://{LOGIN}/{TENANT}", resource="https://vault.azure.net"'
                self._say(401, {}, challenge)
                return False

            def _recover(self, name: str) -> None:
                if name not in stand_in.deleted:
                    self._conflict("ObjectIsBeingDeleted")
                    return
                stand_in.written[name] = stand_in.deleted.pop(name)
                self._secret(name)

            def _deleted(self, name: str) -> None:
                recovery_id = f"https://{VAULT}/deletedsecrets/{name}"
                if name in stand_in.deleted:
                    self._say(
                        200, {"id": f"https://{VAULT}/secrets/{name}/1", "recoveryId": recovery_id, "attributes": {}}
                    )
                else:
                    self._say(404, {"error": {"code": "SecretNotFound", "message": "Zq7"}})

            def _conflict(self, code: str) -> None:
                self._say(409, {"error": {"code": "Conflict", "message": "Zq7", "innererror": {"code": code}}})

            def _secret(self, name: str) -> None:
                if name == "stalls":
                    stand_in.released.wait(20)
                if name == "closed":
                    error = {"code": "Forbidden", "message": "Zq7", "innererror": {"code": "ForbiddenByRbac"}}
                    self._say(403, {"error": error})
                elif (
                    name in ("absent", "deleted")
                    or name in stand_in.deleted
                    or (stand_in.keeps and name not in stand_in.written)
                ):
                    self._say(404, {"error": {"code": "SecretNotFound", "message": "Zq7"}})
                else:
                    self._say(
                        200,
                        {
                            "value": stand_in.written.get(name, "Zq7Vault4Kx"),
                            "id": f"https://{VAULT}/secrets/{name}/1",
                            "attributes": {},
                        },
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


def _relay(one: socket.socket, other: socket.socket) -> None:
    """Copy bytes both ways until either side closes."""
    to = {one: other, other: one}
    while True:
        for ready in select.select([one, other], [], [])[0]:
            received = ready.recv(65536)
            if not received:
                return
            to[ready].sendall(received)

"""Debian's docker-registry, a real OCI registry, and certificates for it."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.running import wait_until

USER, PASSWORD = "reader", "correct horse"
_HTPASSWD = "reader:$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n"  # bcrypt
_LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")


def executable() -> Path | None:
    """Where tools/install-registry puts it, if it has."""
    path = Path.home() / ".dstream/registry/bin/docker-registry"
    return path if path.exists() else None


@dataclass(frozen=True)
class Certificate:
    certificate: Path
    key: Path


def certificate_of_localhost(folder: Path) -> Certificate:
    """A self-signed certificate for localhost; REQUESTS_CA_BUNDLE makes a client trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    found = Certificate(folder / "certificate.pem", folder / "key.pem")
    found.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    found.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return found


class OciRegistry:
    """A registry on a free port of localhost, with its blobs in a folder. With a certificate, it asks for a login."""

    def __init__(self, path: Path, folder: Path, certificate: Certificate | None = None) -> None:
        self._blobs = folder / "data/docker/registry/v2/blobs/sha256"
        config = folder / "config.yml"
        lines = [
            "version: 0.1",
            f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}}}",
            "http:",
            "  addr: 127.0.0.1:0",
        ]
        if certificate is not None:
            (folder / "htpasswd").write_text(_HTPASSWD)
            lines += [f"  tls: {{certificate: {certificate.certificate}, key: {certificate.key}}}"]
            lines += [f"auth: {{htpasswd: {{realm: tests, path: {folder / 'htpasswd'}}}}}"]
        config.write_text("\n".join(lines) + "\n")
        log = folder / "log"
        with log.open("w") as file:
            self._process = subprocess.Popen([path, "serve", config], stdout=file, stderr=file)
        found = wait_until(lambda: _LISTENING.search(log.read_text()), "docker-registry listens")
        self.host = f"localhost:{found[1]}"

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def replace_blob(self, digest: str, content: bytes) -> None:
        """Change what the registry sends for a digest."""
        name = digest.removeprefix("sha256:")
        (self._blobs / name[:2] / name / "data").write_bytes(content)


def docker_login(host: str) -> dict[str, object]:
    """The content of Docker's config.json after `docker login`."""
    return {"auths": {host: {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}}}


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"

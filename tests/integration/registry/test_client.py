"""Logins, artifacts and failures of a registry, each with its code and fix."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import pytest

from dstream.errors import AuthError, ConfigError, DStreamError, RefusedError, UnreachableError
from dstream.registry import PushedFile, RegistryClient, binaries_in, file_to_push, parse_reference
from dstream.registry.artifact import manifest_of
from tests.integration.registry.oci_registry import PASSWORD, USER, Certificate, OciRegistry, digest_of, docker_login


@pytest.fixture
def files(tmp_path: Path) -> list[PushedFile]:
    for name in ("plugin.linux_amd64", "plugin.windows_amd64.exe", "provider.json"):
        (tmp_path / name).write_text(f"{name} of {tmp_path}")
    (tmp_path / "tides").write_text("for another platform")
    return [
        file_to_push(each)
        for each in (
            str(tmp_path / "plugin.linux_amd64"),
            str(tmp_path / "plugin.windows_amd64.exe"),
            f"darwin_arm64={tmp_path / 'tides'}",
            str(tmp_path / "provider.json"),
        )
    ]


def client(reference: str, home: Path, **environ: str) -> RegistryClient:
    return RegistryClient(parse_reference(reference), {"HOME": str(home), **environ})


def fails(reference: str, home: Path, **environ: str) -> DStreamError:
    with pytest.raises(DStreamError) as caught:
        client(reference, home, **environ).manifest()
    return caught.value


def write_docker_config(home: Path, config: object) -> None:
    (home / ".docker").mkdir(exist_ok=True)
    (home / ".docker/config.json").write_text(json.dumps(config))


def test_an_artifact_comes_back_as_it_was_pushed(
    registry: OciRegistry, tmp_path: Path, files: list[PushedFile]
) -> None:
    reference = parse_reference(f"{registry.host}/push/tides:v1")
    pushed = client(str(reference), tmp_path).push(files, {"org.opencontainers.image.version": "v1"}, overwrite=False)
    manifest, digest = client(str(reference), tmp_path).manifest()
    assert pushed == digest == digest_of(manifest)
    binaries = binaries_in(manifest, reference)
    assert sorted(binaries) == ["darwin_arm64", "linux_amd64", "windows_amd64"]
    content = b"".join(client(str(reference), tmp_path).download(binaries["darwin_arm64"]))
    assert content == b"for another platform"

    client(str(reference), tmp_path).push(files, {"org.opencontainers.image.version": "v1"}, overwrite=False)
    with pytest.raises(RefusedError) as caught:
        client(str(reference), tmp_path).push(files[:1], {}, overwrite=False)
    assert caught.value.code == "registry.tag_exists"
    client(str(reference), tmp_path).push(files[:1], {}, overwrite=True)


def test_what_the_registry_changed_is_noticed(registry: OciRegistry, tmp_path: Path, files: list[PushedFile]) -> None:
    reference = f"{registry.host}/changed/tides:v1"
    client(reference, tmp_path).push(files, {}, overwrite=False)
    digest = files[0].digest
    registry.replace_blob(digest, b"something else")
    with pytest.raises(RefusedError) as caught:
        list(client(reference, tmp_path).download(digest))
    assert caught.value.code == "registry.digest_mismatch"


def test_a_missing_tag_and_a_missing_registry_are_told_apart(registry: OciRegistry, tmp_path: Path) -> None:
    missing = fails(f"{registry.host}/nowhere/tides:v1", tmp_path)
    assert (type(missing), missing.code) == (ConfigError, "registry.not_found")
    gone = fails("localhost:1/org/tides:v1", tmp_path)
    assert (type(gone), gone.code) == (UnreachableError, "registry.unreachable")
    assert gone.message == "cannot reach localhost: Connection refused"
    unknown = fails("registry.invalid/org/tides:v1", tmp_path)
    assert unknown.code == "registry.unreachable"


@pytest.fixture
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.certificate))


def test_an_untrusted_certificate_is_refused(private_registry: OciRegistry, tmp_path: Path) -> None:
    error = fails(f"{private_registry.host}/org/tides:v1", tmp_path)
    assert error.message.startswith("cannot reach localhost: TLS failed")


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("where", ["docker", "DOCKER_CONFIG", "oras", "helper", "store"])
def test_the_login_is_where_docker_keeps_it(
    private_registry: OciRegistry,
    tmp_path: Path,
    files: list[PushedFile],
    where: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reference = f"{private_registry.host}/login/{where.lower().replace('_', '-')}:v1"
    denied = fails(reference, tmp_path)
    assert (type(denied), denied.code) == (AuthError, "registry.unauthorized")
    assert f"docker login {private_registry.host}" in denied.hint

    environ: dict[str, str] = {}
    login = docker_login(private_registry.host)
    match where:
        case "docker":
            write_docker_config(tmp_path, login)
        case "oras":
            (tmp_path / ".oras-config").write_text(json.dumps(login))
        case "DOCKER_CONFIG":
            write_docker_config(tmp_path, login)
            environ = {"DOCKER_CONFIG": str((tmp_path / ".docker").rename(tmp_path / "elsewhere"))}
        case _:
            helper = tmp_path / "docker-credential-tests"
            answer = json.dumps({"ServerURL": private_registry.host, "Username": USER, "Secret": PASSWORD})
            helper.write_text(f"#!/bin/sh\n[ \"$(cat)\" = {private_registry.host} ] && echo '{answer}'\n")
            helper.chmod(0o755)
            monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
            config = {"credHelpers": {private_registry.host: "tests"}} if where == "helper" else {"credsStore": "tests"}
            write_docker_config(tmp_path, {"auths": {private_registry.host: {}}, **config})
    client(reference, tmp_path, **environ).push(files, {}, overwrite=False)
    assert client(reference, tmp_path, **environ).manifest()[1]


@pytest.mark.usefixtures("trusted")
def test_a_login_in_netrc_does_not_replace_ours(
    private_registry: OciRegistry, tmp_path: Path, files: list[PushedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine localhost login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    write_docker_config(tmp_path, docker_login(private_registry.host))
    assert client(f"{private_registry.host}/netrc/tides:v1", tmp_path).push(files, {}, overwrite=False)


def test_plain_http_stays_on_this_machine(
    registry: OciRegistry, tmp_path: Path, files: list[PushedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://localhost:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert client(f"{registry.host}/proxy/tides:v1", tmp_path).push(files, {}, overwrite=False)


@pytest.mark.usefixtures("trusted")
def test_a_wrong_password_is_named_but_not_shown(private_registry: OciRegistry, tmp_path: Path) -> None:
    login: Any = docker_login(private_registry.host)
    login["auths"][private_registry.host]["auth"] = "cmVhZGVyOmxlYWtlZA=="  # reader:leaked
    write_docker_config(tmp_path, login)
    error = fails(f"{private_registry.host}/org/tides:v1", tmp_path)
    assert (error.code, "lacks access" in error.hint) == ("registry.unauthorized", True)
    assert "leaked" not in f"{error.message} {error.hint} {error!r}"


class TokenRegistry(BaseHTTPRequestHandler):
    """A registry with a token server, as Azure Container Registry has one (distribution, docs/spec/auth/oauth.md)."""

    manifest = b""

    def do_GET(self) -> None:
        if self.headers.get("Authorization") == "Bearer of the tests":
            self._answer(200, self.manifest)
            return
        challenge = f'Bearer realm="https://{self.headers["Host"]}/token",service="s",scope="repository:org/tides:pull"'
        self._answer(401, b"", ("WWW-Authenticate", challenge))

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        wanted = {"grant_type": ["refresh_token"], "refresh_token": ["identity"], "service": ["s"]}
        is_right = wanted.items() <= form.items() and form["scope"] == ["repository:org/tides:pull"]
        self._answer(200 if is_right else 401, b'{"access_token": "of the tests"}')

    def _answer(self, status: int, content: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for header in (*headers, ("Content-Length", str(len(content)))):
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def token_registry(certificate: Certificate, files: list[PushedFile]) -> Iterator[str]:
    TokenRegistry.manifest = manifest_of(files, {})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    with ThreadingHTTPServer(("127.0.0.1", 0), TokenRegistry) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"localhost:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("trusted")
def test_an_identity_token_is_exchanged(token_registry: str, tmp_path: Path) -> None:
    write_docker_config(tmp_path, {"auths": {token_registry: {"auth": "MDAwOg==", "identitytoken": "identity"}}})
    assert client(f"{token_registry}/org/tides:v1", tmp_path).manifest()[0] == TokenRegistry.manifest
    write_docker_config(tmp_path, {"auths": {token_registry: {"identitytoken": "expired"}}})
    assert fails(f"{token_registry}/org/tides:v1", tmp_path).code == "registry.unauthorized"


class NoRegistry(BaseHTTPRequestHandler):
    """Answers by the name of the repository."""

    def do_GET(self) -> None:
        repository = self.path.split("/")[2]
        status = {"failing": 503, "login": 401, "denied": 403, "moved": 302}.get(repository, 200)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://192.0.2.1/")  # TEST-NET-1: connecting takes forever
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
        content = b'{"config": {}, "layers": [{"digest": "sha256:1"}]}' if repository == "image" else b"<html>"
        self.send_header("Content-Length", str(len(content) + (repository == "cut")))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


def test_other_answers_are_explained(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), NoRegistry) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        host = f"localhost:{server.server_port}"
        codes = {
            repository: fails(f"{host}/{repository}:v1", tmp_path).code
            for repository in ("failing", "login", "denied", "cut", "moved")
        }
        for repository in ("image", "page"):
            reference = parse_reference(f"{host}/{repository}:v1")
            content, _ = client(str(reference), tmp_path).manifest()
            with pytest.raises(ConfigError) as caught:
                binaries_in(content, reference)
            codes[repository] = caught.value.code
        server.shutdown()
        thread.join()
    assert codes == {
        "failing": "registry.failed",
        "login": "registry.plaintext_login",
        "denied": "registry.unauthorized",
        "cut": "registry.unreachable",
        "moved": "registry.failed",
        "image": "registry.not_a_provider",
        "page": "registry.not_a_provider",
    }

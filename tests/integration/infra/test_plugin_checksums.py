"""With DSTREAM_PLUGIN_CHECKSUMS, the engine installs only plugins whose archives have the listed SHA-256."""

from __future__ import annotations

import hashlib
import io
import os
import platform
import sys
import tarfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from dstream.errors import SystemFault
from dstream.infra.definition import Definition
from dstream.infra.engine import download
from dstream.infra.engine.environment import place_of
from dstream.infra.engine.opening import opened
from dstream.infra.engine.runner import Asked
from dstream.protocol.messages import Infrastructure
from dstream.sdk import Stop

_MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())
ARCHIVE = f"pulumi-resource-random-v1.2.3-{sys.platform}-{_MACHINE}.tar.gz"
PLUGIN = b"#!/bin/sh\n"


@pytest.fixture(scope="module")
def archive() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as content:
        member = tarfile.TarInfo("pulumi-resource-random")
        member.size, member.mode = len(PLUGIN), 0o755
        content.addfile(member, io.BytesIO(PLUGIN))
    return file.getvalue()


@pytest.fixture(scope="module")
def server(archive: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path.endswith(f"/{ARCHIVE}")
            self.send_response(200)
            self.send_header("Content-Length", str(len(archive)))
            self.end_headers()
            self.wfile.write(archive)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


Install = Callable[[str], None]


@pytest.fixture
def install(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> Install:
    """`install(lines)` installs the plugin, with a checksums file of these lines."""
    for name, value in {
        "NO_PROXY": "127.0.0.1",
        "DSTREAM_PLUGIN_CHECKSUMS": str(tmp_path / "checksums"),
        "PULUMI_HOME": str(tmp_path / "home"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(download, "PLUGINS", f"{server}/")

    def run(lines: str) -> None:
        (tmp_path / "checksums").write_text(lines)
        definition = Definition(program=lambda: None, spec={}, plugins={"random": "1.2.3"})
        place = place_of(Infrastructure(task="t", work_dir=str(tmp_path / "a" / "t" / "dev")), os.environ)
        with opened(place, definition, Asked("plan"), os.environ, Stop(), lambda *_: None) as session:
            session.install_plugins()

    return run


def test_a_plugin_with_the_listed_digest_is_installed(install: Install, archive: bytes, tmp_path: Path) -> None:
    install(f"{'0' * 64}  other.tar.gz\n{hashlib.sha256(archive).hexdigest()}  {ARCHIVE}\n")
    assert (tmp_path / "home" / "plugins" / "resource-random-v1.2.3" / "pulumi-resource-random").read_bytes() == PLUGIN


@pytest.mark.parametrize("lines", [f"{'1' * 64}  {ARCHIVE}\n", "", f"{'1' * 64}  other.tar.gz\n"])
def test_a_plugin_with_another_or_no_digest_is_not_installed(install: Install, tmp_path: Path, lines: str) -> None:
    with pytest.raises(SystemFault) as raised:
        install(lines)
    assert raised.value.code == "infra.no_plugin"
    assert not list(tmp_path.glob("home/plugins/*/pulumi-resource-random"))
    assert "SHA-256" in raised.value.message

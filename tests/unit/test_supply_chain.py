"""`make audit`: known vulnerabilities are found, an unreachable database is not an error, and licenses are listed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
UV = Path(sys.executable).parent / "uv"

pytestmark = pytest.mark.skipif(not UV.exists(), reason="needs the uv of `make setup`")


class Osv(BaseHTTPRequestHandler):
    """As the OSV API answers (https://google.github.io/osv.dev/post-v1-querybatch/), with a vulnerability of click."""

    def do_POST(self) -> None:
        queries = json.loads(self.rfile.read(int(self.headers["content-length"])))["queries"]
        found = {"vulns": [{"id": "OSV-1", "modified": "2026-01-01T00:00:00Z"}]}
        self._answer({"results": [found if each["package"]["name"] == "click" else {} for each in queries]})

    def do_GET(self) -> None:
        self._answer({"id": "OSV-1", "modified": "2026-01-01T00:00:00Z", "summary": "a hole", "affected": []})

    def _answer(self, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def osv() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Osv) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def audit(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["tools/audit-dependencies", UV, *arguments],
        cwd=ROOT,
        env={**os.environ, "UV_HTTP_RETRIES": "0", "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_known_vulnerability_fails_the_audit_and_is_named(osv: str) -> None:
    done = audit("--service-url", osv)
    assert done.returncode == 1
    assert "OSV-1" in done.stderr
    assert "click" in done.stderr


def test_an_unreachable_database_skips_the_audit_with_a_message() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # does not listen
        done = audit("--service-url", f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert done.returncode == 0, done.stderr
    assert "Skipped the search for known vulnerabilities" in done.stderr


def test_another_failure_of_the_audit_is_not_skipped() -> None:
    assert audit("--no-such-option").returncode == 2


def test_the_list_of_licenses_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "tools/list_licenses.py", UV, "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr

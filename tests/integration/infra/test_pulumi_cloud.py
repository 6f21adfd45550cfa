"""What the engine sends to Pulumi Cloud, as far as it can be tried without an account: a stand-in that has no stacks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.integration.infra.driving import Stage

TOKEN = "pul-0123456789abcdef"


class Cloud:
    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                cloud.requests.append((self.path, self.headers.get("Authorization") or ""))
                known = {"/api/user": {"githubLogin": "ann", "name": "Ann"}, "/api/capabilities": {"capabilities": []}}
                found = known.get(self.path)
                body = json.dumps(found or {"code": 404, "message": "Not Found"}).encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    cloud = Cloud()
    thread = threading.Thread(target=cloud.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield cloud
    cloud.server.shutdown()
    cloud.server.server_close()
    thread.join()


def test_a_stack_of_an_organization_is_planned_with_an_existing_login(cloud: Cloud, tmp_path: Path) -> None:
    engine = sorted(Path.home().glob(".dstream/pulumi/v*/bin/pulumi"))[-1]
    home = tmp_path / "home"
    env = {"HOME": str(home), "DSTREAM_PULUMI": str(engine)}
    stage = Stage(tmp_path, stack="acme/prod", env=env, backend_url=cloud.url, queues={"q1": {"size": 1}})

    error = stage("plan").error
    assert (error["code"], error["kind"]) == ("infra.not_signed_in", "auth")
    assert cloud.requests == []

    account = {"accessToken": TOKEN, "username": "ann", "lastValidatedAt": "2026-11-29T00:00:00Z"}
    logins = {"current": cloud.url, "accessTokens": {cloud.url: TOKEN}, "accounts": {cloud.url: account}}
    (home / ".pulumi").mkdir(parents=True)
    (home / ".pulumi" / "credentials.json").write_text(json.dumps(logins))
    assert stage("plan").ops == {"q1": "create"}
    assert ("/api/stacks/acme/orders/prod", f"token {TOKEN}") in cloud.requests

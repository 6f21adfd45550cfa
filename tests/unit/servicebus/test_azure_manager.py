"""Requests to Azure Resource Manager, over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from dstream_servicebus.infrastructure.azure_manager import AzureManager


class _Pages(BaseHTTPRequestHandler):
    """Two pages; the second one names a third on another host."""

    def do_GET(self) -> None:
        assert self.headers["Authorization"] == "Bearer token"
        host = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
        is_first = self.path.startswith("/group/resources")
        page = {
            "value": [{"name": "a" if is_first else "b"}],
            "nextLink": f"{host}/second" if is_first else "http://127.0.0.1.example/third",
        }
        content = json.dumps(page).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_all_pages_are_read_but_none_from_another_host(endpoint: str) -> None:
    found = AzureManager(endpoint, "token").list("/group/resources")

    assert [next(found)["name"], next(found)["name"]] == ["a", "b"]
    with pytest.raises(ValueError, match=r"another host: http://127\.0\.0\.1\.example/third"):
        next(found)

"""Ways to the namespace other than AMQP on its own address: WebSockets, proxies, custom endpoints."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dstream.errors import DStreamError
from tests.integration.servicebus.broker import Broker, bodies, publishing
from tests.running import wait_until

LINES = [b'{"data":{"n":%d},"metadata":{}}' % number for number in range(200)]


@dataclass
class Proxy:
    """An HTTP proxy (proxy.py) that wants user u and password p:w."""

    port: int
    log: Path

    def url(self, password: str = "p%3Aw") -> str:
        return f"http://u:{password}@127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("proxy")
    log, port = folder / "log", folder / "port"
    flags = ["--hostname", "127.0.0.1", "--port", "0", "--port-file", port, "--log-file", log, "--basic-auth", "u:p:w"]
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", *flags, "--num-workers", "1", "--num-acceptors", "1", "--data-dir", folder],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: port.exists() and port.read_text().strip(), "the proxy listens")
        yield Proxy(int(port.read_text()), log)
    finally:
        process.terminate()
        process.wait()


def over_tls(broker: Broker, **settings: Any) -> dict[str, Any]:
    return {"connection_string": broker.tls_connection_string, "ca_file": broker.ca_file, **settings}


def test_rows_arrive_over_a_websocket(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name())
    with publishing(calm, queue, **over_tls(calm, transport="websocket")) as publisher:
        publisher.publish(LINES)
    assert bodies(calm.receive(queue, len(LINES))) == LINES


def test_rows_arrive_through_a_proxy(
    calm: Broker, new_name: Callable[[], str], proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "none.example")  # websocket-client connects to localhost directly otherwise
    queue = calm.create_queue(new_name())
    with publishing(calm, queue, **over_tls(calm, transport="websocket", proxy=proxy.url())) as publisher:
        publisher.publish(LINES)
    assert bodies(calm.receive(queue, len(LINES))) == LINES
    port = calm.tls_connection_string.partition(";")[0].rpartition(":")[2]
    wait_until(lambda: f"CONNECT localhost:{port}" in proxy.log.read_text(), "the proxy logs the connection")


def test_a_proxy_that_refuses_the_password_is_named_without_it(
    calm: Broker, new_name: Callable[[], str], proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "none.example")
    settings = over_tls(calm, transport="websocket", proxy=proxy.url("wrong-one"))
    with pytest.raises(DStreamError) as caught, publishing(calm, calm.create_queue(new_name()), **settings):
        pass
    error = caught.value
    assert (error.code, error.kind, error.config_path) == ("servicebus.proxy_refused", "auth", "proxy")
    assert "407" in error.message
    assert "wrong-one" not in error.message + error.hint


def test_rows_arrive_through_a_custom_endpoint(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name())
    address, _, key = calm.tls_connection_string.partition(";")
    settings = {
        "connection_string": f"Endpoint=sb://shop.servicebus.windows.net/;{key}",
        "custom_endpoint": address.removeprefix("Endpoint="),
        "admin_connection_string": calm.admin_connection_string,
    }
    for transport in ("amqp", "websocket"):
        with publishing(calm, queue, **over_tls(calm, transport=transport, **settings)) as publisher:
            publisher.publish(LINES)
        assert bodies(calm.receive(queue, len(LINES))) == LINES

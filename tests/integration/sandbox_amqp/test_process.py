"""`python -m dstream_sandbox.servicebus` as a separate process: start, stop, crash, sink, control."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiveMode
from azure.servicebus.exceptions import ServiceBusError
from azure.servicebus.management import ServiceBusAdministrationClient
from dstream_sandbox.certificates import ensure_certificates
from dstream_sandbox.control_access import TOKEN_FILE, authorization, ensure_token

_KEY = "c2VjcmV0"
_DEADLINE_S = 60.0


class _Process:
    def __init__(self, folder: Path, *flags: str) -> None:
        folder.mkdir(exist_ok=True)
        ensure_certificates(folder)
        (folder / "key").write_text(_KEY)
        self._folder = folder
        files: list[str | Path] = [
            "--cert",
            folder / "server.pem",
            "--key",
            folder / "server.key",
            "--key-file",
            folder / "key",
        ]
        self._command: list[str | Path] = [
            sys.executable,
            "-m",
            "dstream_sandbox.servicebus",
            "--data",
            folder,
            *files,
            *flags,
        ]
        self.ready: dict[str, Any] = {}

    def start(self) -> _Process:
        """Start the process, on the same ports each time."""
        names = ("amqp_port", "amqps_port", "admin_port") if self.ready else ()
        ports = [text for name in names for text in (f"--{name.replace('_', '-')}", str(self.ready[name]))]
        self.popen = subprocess.Popen([*self._command, *ports], stdout=subprocess.PIPE, text=True)
        assert self.popen.stdout is not None
        self.ready = json.loads(self.popen.stdout.readline())
        return self

    def end(self, number: int = signal.SIGTERM) -> int:
        self.popen.send_signal(number)
        code = self.popen.wait(_DEADLINE_S)
        assert self.popen.stdout is not None
        self.popen.stdout.close()
        return code

    def client(self) -> ServiceBusClient:
        endpoint = f"Endpoint=sb://localhost:{self.ready['amqp_port']}"
        policy = f"SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey={_KEY}"
        return ServiceBusClient.from_connection_string(
            f"{endpoint};{policy};UseDevelopmentEmulator=true;", retry_total=0
        )

    def create_queue(self, name: str) -> None:
        endpoint = f"Endpoint=sb://localhost:{self.ready['admin_port']}"
        policy = f"SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey={_KEY}"
        with ServiceBusAdministrationClient.from_connection_string(
            f"{endpoint};{policy}", connection_verify=str(self._folder / "ca.pem")
        ) as admin:
            admin.create_queue(name)

    def control(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        url = f"http://localhost:{self.ready['admin_port']}/_sandbox/{path}"
        headers = authorization(ensure_token(self._folder / TOKEN_FILE))
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
            return json.load(answer)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[..., _Process]]:
    started: list[_Process] = []

    def make(*flags: str) -> _Process:
        started.append(_Process(tmp_path, *flags).start())
        return started[-1]

    yield make
    for one in started:
        if one.popen.poll() is None:
            one.end()


def _send(process: _Process, queue: str, *bodies: str) -> None:
    with process.client() as client, client.get_queue_sender(queue) as sender:
        sender.send_messages([ServiceBusMessage(body) for body in bodies])


def _receive(process: _Process, queue: str, count: int) -> list[str]:
    got: list[str] = []
    mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
    with process.client() as client, client.get_queue_receiver(queue, receive_mode=mode) as receiver:
        while len(got) < count:
            messages = receiver.receive_messages(count - len(got), max_wait_time=10)
            assert messages, f"only {got} arrived"
            got += [str(message) for message in messages]
    return got


def test_acknowledged_messages_survive_kill_9_and_a_clean_stop(process: Callable[..., _Process]) -> None:
    server = process()
    assert server.ready["pid"] == server.popen.pid
    server.create_queue("orders")
    _send(server, "orders", "a", "b")
    assert server.end(signal.SIGKILL) == -signal.SIGKILL
    server.start()
    _send(server, "orders", "c")
    assert server.end() == 0
    server.start()
    assert _receive(server, "orders", 3) == ["a", "b", "c"]


def test_a_kill_after_the_store_keeps_the_unacknowledged_message(process: Callable[..., _Process]) -> None:
    server = process()
    server.create_queue("orders")
    server.control("faults", {"kind": "kill", "entity": "orders", "at": "after_store"})
    with pytest.raises(ServiceBusError):
        _send(server, "orders", "untold")
    assert server.popen.wait(_DEADLINE_S) == -signal.SIGKILL
    server.start()
    assert _receive(server, "orders", 1) == ["untold"]


def test_the_sink_counts_messages_without_storing_them(process: Callable[..., _Process]) -> None:
    server = process("--sink", "--profile", "premium")
    _send(server, "any-name", *(f"{number}" for number in range(50)))
    with server.client() as client, client.get_queue_sender("another") as sender:
        assert sender.create_message_batch().max_size_in_bytes == 1024 * 1024
        sender.send_messages(ServiceBusMessage("single"))
    counters = server.control("counters")
    assert (counters["messages"], counters["transfers"]) == (51, 2)
    assert counters["bytes"] > 51
    assert counters["cpu_s"] > 0


def test_a_port_in_use_is_a_one_line_error(process: Callable[..., _Process], tmp_path: Path) -> None:
    port = process().ready["amqp_port"]
    other = _Process(tmp_path / "other", "--amqp-port", str(port))
    done = subprocess.run(other._command, capture_output=True, text=True, timeout=_DEADLINE_S, check=False)
    assert done.returncode == 1
    assert "address already in use" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_server_exits_with_its_parent(tmp_path: Path) -> None:
    server = _Process(tmp_path)
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, *map(str, server._command)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    ready = json.loads(parent.stdout.readline())
    child = psutil.Process(ready["pid"])
    parent.kill()
    parent.wait()
    try:
        _gone(child)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(ready["pid"], signal.SIGKILL)
        parent.stdout.close()


_PARENT = "import subprocess, sys, time; subprocess.Popen(sys.argv[1:]); time.sleep(60)"


def _gone(process: psutil.Process) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the server outlives its parent"
        time.sleep(0.02)

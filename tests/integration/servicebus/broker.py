"""The sandbox's Service Bus as a separate process, and the provider connected to it."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusClient, ServiceBusReceivedMessage, ServiceBusReceiveMode
from azure.servicebus.management import ServiceBusAdministrationClient
from dstream_sandbox.certificates import ensure_certificates
from dstream_sandbox.control_access import TOKEN_FILE, authorization, ensure_token
from dstream_servicebus.config import Config
from dstream_servicebus.provider import ServiceBus

from dstream.sdk import Batch, RunOptions, Telemetry, decode_config

KEY_NAME = "RootManageSharedAccessKey"
KEY = "c2FuZGJveC1rZXktb2YtdGhlLXRlc3RzLW9mLXNlcnZpY2VidXM="
WAIT_S = 60.0

_FILES = {"--cert": "server.pem", "--key": "server.key", "--key-file": "policy.key"}


class Broker:
    """The process. Started again after `kill`, it has the same ports and everything it acknowledged."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._folder = folder
        self._flags = flags
        self._ports = {"amqp_port": 0, "amqps_port": 0, "admin_port": 0}
        ensure_certificates(folder)
        (folder / "policy.key").write_text(KEY)

    def start(self) -> Broker:
        ports = [part for name, port in self._ports.items() for part in (f"--{name.replace('_', '-')}", str(port))]
        files = [part for flag, name in _FILES.items() for part in (flag, self._folder / name)]
        data = self._folder / "data"
        data.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dstream_sandbox.servicebus", "--data", data, *files, *ports, *self._flags],
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        ready = json.loads(self._process.stdout.readline())
        self._ports = {name: ready[name] for name in self._ports}
        return self

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(WAIT_S)
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def ca_file(self) -> str:
        return str(self._folder / "ca.pem")

    @property
    def connection_string(self) -> str:
        return f"{self._entry('amqp_port')}UseDevelopmentEmulator=true;"

    @property
    def tls_connection_string(self) -> str:
        return self._entry("amqps_port")

    @property
    def admin_connection_string(self) -> str:
        return self._entry("admin_port")

    def administration(self) -> ServiceBusAdministrationClient:
        return ServiceBusAdministrationClient.from_connection_string(
            self.admin_connection_string, connection_verify=self.ca_file
        )

    def create_queue(self, name: str, **settings: Any) -> str:
        with self.administration() as administration:
            administration.create_queue(name, **settings)
        return name

    def fault(self, **fault: Any) -> None:
        """Request a fault; see `dstream_sandbox.servicebus.faults`."""
        self._control("POST", "faults", json.dumps(fault).encode())

    def faults(self) -> list[dict[str, Any]]:
        """The faults that have not struck as often as requested."""
        faults: list[dict[str, Any]] = self._control("GET", "faults")["faults"]
        return faults

    def clear_faults(self) -> None:
        self._control("DELETE", "faults")

    def counters(self) -> dict[str, float]:
        counters: dict[str, float] = self._control("GET", "counters")
        return counters

    def receive(self, queue: str, count: int, **options: Any) -> list[ServiceBusReceivedMessage]:
        """Receive `count` messages and any others that are available, so that extra messages show."""
        return self._receive("get_queue_receiver", (queue,), count, options)

    def receive_subscription(self, topic: str, subscription: str, count: int) -> list[ServiceBusReceivedMessage]:
        return self._receive("get_subscription_receiver", (topic, subscription), count, {})

    def receive_sessions(self, queue: str, sessions: int, count: int) -> dict[str, list[bytes]]:
        """The bodies of `sessions` sessions with `count` messages each."""

        def receive_next(_: int) -> tuple[str, list[bytes]]:
            messages = self.receive(queue, count, session_id=NEXT_AVAILABLE_SESSION)
            return str(messages[0].session_id), bodies(messages)

        with ThreadPoolExecutor(sessions) as pool:
            return dict(pool.map(receive_next, range(sessions)))

    def _receive(
        self, receiver: str, path: tuple[str, ...], count: int, options: dict[str, Any]
    ) -> list[ServiceBusReceivedMessage]:
        received: list[ServiceBusReceivedMessage] = []
        mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
        with (
            ServiceBusClient.from_connection_string(self.connection_string) as client,
            getattr(client, receiver)(*path, receive_mode=mode, prefetch_count=1000, keep_alive=0, **options) as link,
        ):
            while batch := link.receive_messages(2000, max_wait_time=WAIT_S if len(received) < count else 0.3):
                received += batch
        return received

    def _entry(self, port: str) -> str:
        return f"Endpoint=sb://localhost:{self._ports[port]};SharedAccessKeyName={KEY_NAME};SharedAccessKey={KEY};"

    def _control(self, method: str, path: str, body: bytes | None = None) -> Any:
        url = f"https://localhost:{self._ports['admin_port']}/_sandbox/{path}"
        headers = authorization(ensure_token(self._folder / "data" / TOKEN_FILE))
        request = urllib.request.Request(url, body, headers, method=method)
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=self.ca_file)) as answer:
            return json.load(answer)


@dataclass
class Publishing:
    """A started provider, driven as the SDK does, and its telemetry."""

    provider: ServiceBus
    telemetry: list[bytes] = field(default_factory=list)

    def write(self, lines: Sequence[bytes]) -> tuple[Batch, Future[None]]:
        batch = Batch(lines, sum(map(len, lines)))
        return batch, self.provider.write(batch)

    def publish(self, lines: Sequence[bytes], timeout_s: float = WAIT_S) -> Batch:
        """Write the lines and wait until they are durable."""
        batch, future = self.write(lines)
        future.result(timeout_s)
        return batch

    def logs(self, event: str) -> list[dict[str, Any]]:
        """The log lines of this event so far."""
        records = map(json.loads, list(self.telemetry))
        return [record for record in records if record.get("event") == event]

    def counted(self, name: str, **labels: str) -> float:
        """The sum of a counter with these labels so far."""
        records = [record for record in map(json.loads, list(self.telemetry)) if record.get("name") == name]
        return sum(record["value"] for record in records if labels.items() <= record["labels"].items())


_decoding = threading.Lock()
"""msgspec 0.22 can crash if two threads are the first to decode a type."""

FAST_RETRIES = {"first_delay": "50ms", "max_delay": "500ms", "server_busy_delay": "300ms", "send_timeout": "2s"}


@contextmanager
def publishing(
    broker: Broker, queue: str | None = None, *, checkpoint_stored_at: str | None = None, **settings: Any
) -> Iterator[Publishing]:
    """Start the provider with these settings; close it on exit."""
    config = {"connection_string": broker.connection_string, "retry": FAST_RETRIES, **settings}
    if queue is not None:
        config["queue"] = queue
    provider = ServiceBus()
    run = Publishing(provider)
    with _decoding:
        provider.config = decode_config(config, Config)
    provider.telemetry = Telemetry(run.telemetry.append)
    provider.run = RunOptions(checkpoint_stored_at=checkpoint_stored_at)
    try:
        provider.start()
        yield run
    finally:
        provider.close()


def event(n: int, table: str = "dbo.Cars", **data: Any) -> bytes:
    """The nth event of a table, as mssql_cdc writes it."""
    metadata = {"TableName": table, "OperationType": "Insert", "Key": ["Id"], "Id": f"{table}/{n}"}
    return json.dumps({"data": {"Id": n, **data}, "metadata": metadata}).encode()


def bodies(messages: Sequence[ServiceBusReceivedMessage]) -> list[bytes]:
    return [b"".join(message.body) for message in messages]

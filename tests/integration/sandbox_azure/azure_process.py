"""The sandbox's Service Bus process with its Azure endpoint, started as the supervisor does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from azure.servicebus.management import ServiceBusAdministrationClient
from dstream_sandbox.certificates import ensure_certificates
from dstream_sandbox.control_access import TOKEN_FILE, authorization, ensure_token

KEY = "c2VjcmV0"
_DEADLINE_S = 60.0
_PORTS = ("amqp_port", "amqps_port", "admin_port", "azure_port")


class AzureProcess:
    def __init__(self, folder: Path) -> None:
        ensure_certificates(folder)
        (folder / "key").write_text(KEY)
        self._folder = folder
        self.ready: dict[str, Any] = dict.fromkeys(_PORTS, 0)

    def start(self) -> AzureProcess:
        """Start the process, on the same ports each time."""
        folder = self._folder
        arguments: list[str | Path] = ["--data", folder, "--key-file", folder / "key"]
        arguments += ["--cert", folder / "server.pem", "--key", folder / "server.key"]
        arguments += [f"--{name.replace('_', '-')}={self.ready[name]}" for name in _PORTS]
        command: list[str | Path] = [sys.executable, "-m", "dstream_sandbox.servicebus", *arguments]
        self._popen = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._popen.stdout is not None
        self.ready = json.loads(self._popen.stdout.readline())
        return self

    def end(self, number: int = signal.SIGTERM) -> None:
        self._popen.send_signal(number)
        self._popen.wait(_DEADLINE_S)
        assert self._popen.stdout is not None
        self._popen.stdout.close()

    @property
    def connection_string(self) -> str:
        """The connection string of the initial namespace."""
        policy = f"SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey={KEY}"
        return f"Endpoint=sb://localhost:{self.ready['amqp_port']};{policy};UseDevelopmentEmulator=true;"

    def administration(self, endpoint: str = "", key: str = KEY) -> ServiceBusAdministrationClient:
        """`endpoint`: e.g. a namespace's serviceBusEndpoint."""
        host = endpoint.removeprefix("https://").strip("/") or f"localhost:{self.ready['admin_port']}"
        policy = f"SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey={key}"
        return ServiceBusAdministrationClient.from_connection_string(
            f"Endpoint=sb://{host};{policy}", connection_verify=str(self._folder / "ca.pem")
        )

    def control(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = authorization(ensure_token(self._folder / TOKEN_FILE))
        request = Request(f"http://localhost:{self.ready['admin_port']}/_sandbox/{path}", data, headers)
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def control_at(self, endpoint: str) -> None:
        """Raises OSError if nothing listens there."""
        with urlopen(f"{endpoint.replace('https', 'http')}health", timeout=60):
            pass

    def creates(self, ending: str) -> int:
        """How often resources whose ids have this ending were created."""
        found = self.control("counters")["azure_creates"]
        return sum(count for resource_id, count in found.items() if resource_id.endswith(ending.lower()))

"""The sandbox's data folder: its settings (ports, credentials), made once and kept, and who runs it now.

sandbox.json     settings: the same ports and keys after every start
running.json     pids while it runs
tls/             the CA and the servers' certificate
sqlserver/       databases
servicebus/      entities and messages
logs/            what the two servers print
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import string
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

DATABASE = "sandbox"
SQL_USER = "sa"
KEY_NAME = "RootManageSharedAccessKey"
NAMESPACE = "sandbox"
RESOURCE_GROUP = "sandbox"


@dataclass(frozen=True, slots=True)
class Settings:
    """Ports on 127.0.0.1 and the credentials that the servers check."""

    sql_port: int
    amqp_port: int
    amqps_port: int
    admin_port: int
    sql_password: str
    servicebus_key: str
    profile: str = "standard"
    capture_delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Running:
    """Process ids of a running sandbox."""

    supervisor: int
    sqlserver: int
    servicebus: int


@dataclass(frozen=True, slots=True)
class Folder:
    """Paths and small files below one data folder."""

    path: Path

    @property
    def tls(self) -> Path:
        return self.path / "tls"

    @property
    def ca_file(self) -> Path:
        return self.tls / "ca.pem"

    def log(self, server: str) -> Path:
        return self.path / "logs" / f"{server}.log"

    def settings(self) -> Settings | None:
        """None when this folder has not held a sandbox yet."""
        fields = _read(self.path / "sandbox.json")
        return Settings(**fields) if fields else None

    def make_settings(self, **given: Any) -> Settings:
        """The kept settings with what is `given` changed; made, with free ports, at the first start."""
        wanted = {name: value for name, value in given.items() if value is not None}
        settings = self.settings()
        if settings is None:
            ports = dict(zip(("sql_port", "amqp_port", "amqps_port", "admin_port"), _free_ports(4), strict=True))
            credentials = {"sql_password": _password(), "servicebus_key": secrets.token_urlsafe(32)}
            settings = Settings(**{**ports, **credentials, **wanted})
        else:
            settings = replace(settings, **wanted)
        for folder in ("tls", "sqlserver", "servicebus", "logs"):
            (self.path / folder).mkdir(parents=True, exist_ok=True)
        _write(self.path / "sandbox.json", asdict(settings))
        return settings

    def running(self) -> Running | None:
        """None unless a supervisor of this folder lives."""
        fields = _read(self.path / "running.json")
        if not fields:
            return None
        running = Running(**fields)
        return running if _lives(running.supervisor) else None

    def set_running(self, running: Running | None) -> None:
        if running is None:
            (self.path / "running.json").unlink(missing_ok=True)
        else:
            _write(self.path / "running.json", asdict(running))


def _free_ports(count: int) -> list[int]:
    """Held open together, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


def _password() -> str:
    """Meets SQL Server's complexity rule and needs no quoting anywhere."""
    letters = string.ascii_letters + string.digits
    return "Aa1-" + "".join(secrets.choice(letters) for _ in range(24))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read(path: Path) -> dict[str, Any] | None:
    try:
        fields = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    if not isinstance(fields, dict):
        raise ValueError(f"{path} is not a file of the sandbox")
    return fields


def _write(path: Path, fields: dict[str, Any]) -> None:
    """Atomically, readable by the owner only: it holds credentials."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(fields, file, indent=2)
    temporary.replace(path)

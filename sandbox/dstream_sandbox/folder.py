"""The sandbox's data folder: the settings (ports, credentials), which are created once, and the running processes.

sandbox.json     settings: the same ports and keys at every start
running.json     pids while it is running
control.token    what clients of the control endpoints send
supervisor.lock  held by the supervisor; the kernel releases it when the process exits or is killed
servers.lock     held by the servers; ports and databases are free once it is released
tls/             the CA and the servers' certificate
sqlserver/       databases
servicebus/      entities and messages
logs/            output of the servers and the supervisor
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import string
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import IO, Any

from dstream_sandbox.control_access import TOKEN_FILE, ensure_token
from dstream_sandbox.errors import SandboxError
from dstream_sandbox.ports import free_ports

DATABASE = "sandbox"
SQL_USER = "sa"
KEY_NAME = "RootManageSharedAccessKey"
NAMESPACE = "sandbox"
RESOURCE_GROUP = "sandbox"
SUBSCRIPTION_ID = "00000000-d57e-4a00-8000-5a4db0c00001"
"""The Azure subscription. Any other id refers to the same resources."""
ARM_PATH = "/_sandbox/arm"
"""Where the admin port serves the lists of Azure Resource Manager."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Ports on 127.0.0.1, and the credentials that the servers require."""

    sql_port: int
    amqp_port: int
    amqps_port: int
    admin_port: int
    azure_port: int
    sql_password: str
    servicebus_key: str
    profile: str = "standard"
    capture_delay_s: float = 0.0

    @property
    def ports(self) -> dict[str, int]:
        """The ports, keyed by the option of `dstream sandbox up` that sets them."""
        return {
            "--sql-port": self.sql_port,
            "--amqp-port": self.amqp_port,
            "--amqps-port": self.amqps_port,
            "--admin-port": self.admin_port,
            "--azure-port": self.azure_port,
        }


@dataclass(frozen=True, slots=True)
class Running:
    """Process ids of a running sandbox; None for a server that is restarting."""

    supervisor: int
    sqlserver: int | None
    servicebus: int | None


@dataclass(frozen=True, slots=True)
class Folder:
    """Paths and small files in one data folder."""

    path: Path

    @property
    def tls(self) -> Path:
        return self.path / "tls"

    @property
    def ca_file(self) -> Path:
        return self.tls / "ca.pem"

    @property
    def control_token(self) -> Path:
        return self.path / TOKEN_FILE

    def log(self, server: str) -> Path:
        return self.path / "logs" / f"{server}.log"

    def make(self) -> None:
        """Create the folder. Raises SandboxError if it cannot be created or written to."""
        try:
            for folder in ("tls", "sqlserver", "servicebus", "logs"):
                _make_private(self.path / folder)
            self.lock_file("supervisor").touch(0o600)
            ensure_token(self.control_token)
        except OSError as error:
            raise SandboxError(
                f"cannot use {self.path} as the data folder: {error.strerror}; choose another with --data"
            ) from error

    def settings(self) -> Settings | None:
        """The stored settings; None if the folder has never been used. Raises SandboxError."""
        path = self.path / "sandbox.json"
        kept = _read(path)
        if kept and "admin_port" in kept:
            kept.setdefault("azure_port", 0)  # written before Azure was emulated: `settings_with` chooses a port
        try:
            return Settings(**kept) if kept else None
        except TypeError as error:
            raise SandboxError(f"{path} was not written by this version of the sandbox: {error}") from error

    def settings_with(self, **given: Any) -> Settings:
        """The stored settings or new ones with free ports, overridden by those `given` that are not None."""
        wanted = {name: value for name, value in given.items() if value is not None}
        settings = self.settings()
        if settings:
            settings = replace(settings, **wanted)
            return settings if settings.azure_port else replace(settings, azure_port=_another_port(settings))
        names = [field.name for field in fields(Settings) if field.name.endswith("_port")]
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        credentials = {"sql_password": _password(), "servicebus_key": secrets.token_urlsafe(32)}
        return Settings(**{**ports, **credentials, **wanted})

    def keep(self, settings: Settings) -> None:
        """Store the settings for later starts."""
        _write(self.path / "sandbox.json", asdict(settings))

    def lock_file(self, whose: str) -> Path:
        return self.path / f"{whose}.lock"

    def locked(self, whose: str) -> IO[Any] | None:
        """Acquire the lock, which is held until every copy of the returned file is closed. Return None if another
        process holds it."""
        file = self.lock_file(whose).open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file

    def is_locked(self, whose: str) -> bool:
        """Whether any process holds the lock."""
        try:
            with self.lock_file(whose).open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def running(self) -> Running | None:
        """The running processes; None unless a supervisor of this folder has started its servers. Checks the lock,
        because pids are reused."""
        running = _read(self.path / "running.json")
        return Running(**running) if running and self.is_locked("supervisor") else None

    def set_running(self, running: Running | None) -> None:
        if running is None:
            (self.path / "running.json").unlink(missing_ok=True)
        else:
            _write(self.path / "running.json", asdict(running))


def _make_private(folder: Path) -> None:
    """Create the folder and its missing parents with mode 0700, and give it that mode if it exists."""
    for each in reversed([folder, *folder.parents]):
        if not each.exists():
            each.mkdir(0o700, exist_ok=True)
    folder.chmod(0o700)


def _another_port(settings: Settings) -> int:
    """A free port other than the sandbox's own, which are also free while it is stopped."""
    own = settings.ports.values()
    return next(port for port in free_ports(len(own) + 1) if port not in own)


def _password() -> str:
    """A password that meets SQL Server's complexity rule and never needs quoting."""
    letters = string.ascii_letters + string.digits
    return "Aa1-" + "".join(secrets.choice(letters) for _ in range(24))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        kept = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise SandboxError(f"cannot read {path}: {error}") from error
    if not isinstance(kept, dict):
        raise SandboxError(f"{path} was not written by the sandbox")
    return kept


def _write(path: Path, kept: dict[str, Any]) -> None:
    """Write atomically, readable only by the owner, since the file contains credentials."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(kept, file, indent=2)
    temporary.replace(path)

"""Runs the two servers of one data folder, starts one again that dies, and ends both in order.

Each server is a process of its own, so that either can be killed, profiled or watched alone; both die with this one.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from dstream_sandbox.certificates import ensure_certificates
from dstream_sandbox.clients import prepare_database
from dstream_sandbox.folder import KEY_NAME, SQL_USER, Folder, Running, Settings

_READY_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0
_WATCH_INTERVAL_S = 0.1


class SandboxError(Exception):
    """The sandbox can't do what was asked; the text says why and what helps."""


class Server:
    """One server process and the way to start it."""

    def __init__(self, name: str, arguments: list[str], folder: Folder) -> None:
        self.name = name
        self._arguments = arguments
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Returns when it accepts connections. Raises SandboxError."""
        with self._folder.log(self.name).open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"dstream_sandbox.{self.name}", *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        line = _read_line(self._process.stdout, _READY_TIMEOUT_S)
        if not line or not json.loads(line).get("ready"):
            self.stop()
            raise SandboxError(f"{self.name} did not start; its log:\n{_tail(self._folder.log(self.name))}")

    def died(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Supervisor:
    """The servers of one folder. One at a time: the folder is locked while this lives."""

    def __init__(self, folder: Folder, settings: Settings, *, replay_reads: bool = False, sink: bool = False) -> None:
        self._folder = folder
        self._settings = settings
        self._lock = _locked(folder)
        ensure_certificates(folder.tls)
        sql = [
            f"--data={folder.path / 'sqlserver'}",
            f"--port={settings.sql_port}",
            f"--user={SQL_USER}",
            f"--password-file={_secret_file(folder, 'sql.password', settings.sql_password)}",
            f"--cert={folder.tls / 'server.pem'}",
            f"--key={folder.tls / 'server.key'}",
            f"--capture-delay={settings.capture_delay_s}",
            *(["--replay-reads"] if replay_reads else []),
        ]
        bus = [
            f"--data={folder.path / 'servicebus'}",
            f"--amqp-port={settings.amqp_port}",
            f"--amqps-port={settings.amqps_port}",
            f"--admin-port={settings.admin_port}",
            f"--cert={folder.tls / 'server.pem'}",
            f"--key={folder.tls / 'server.key'}",
            f"--key-name={KEY_NAME}",
            f"--key-file={_secret_file(folder, 'servicebus.key', settings.servicebus_key)}",
            f"--profile={settings.profile}",
            *(["--sink"] if sink else []),
        ]
        self._servers = (Server("sqlserver", sql, folder), Server("servicebus", bus, folder))
        self._asked_to_end = threading.Event()

    def start(self) -> None:
        """Returns when both servers accept connections and the database is there. Raises SandboxError."""
        try:
            for server in self._servers:
                server.start()
            prepare_database(self._settings)
        except BaseException:
            self.stop()
            raise
        self._announce()

    def watch(self) -> None:
        """Until `stop` is asked for: start a server again that died."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._asked_to_end.set())
        try:
            while not self._asked_to_end.wait(_WATCH_INTERVAL_S):
                for server in self._servers:
                    if server.died():
                        server.start()
                        self._announce()
        finally:
            self.stop()

    def stop(self) -> None:
        """End both servers."""
        for server in self._servers:
            server.stop()
        self._folder.set_running(None)
        self._lock.close()

    def _announce(self) -> None:
        sqlserver, servicebus = (server.pid for server in self._servers)
        self._folder.set_running(Running(os.getpid(), sqlserver, servicebus))


def detach(arguments: list[str], folder: Folder) -> None:
    """Start `sandbox up ..` in a session of its own; returns when it is ready. Raises SandboxError."""
    log = folder.log("supervisor")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dstream_sandbox", "up", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def ready() -> bool:
        if process.poll() is not None:
            raise SandboxError(f"the sandbox did not start:\n{_tail(log)}")
        running = folder.running()
        return running is not None and running.supervisor == process.pid

    _wait_until(ready, 2 * _READY_TIMEOUT_S, f"the sandbox did not start; see {log}")


def stop_running(folder: Folder) -> bool:
    """Ask the supervisor to end and wait for it; False when none runs."""
    running = folder.running()
    if running is None:
        return False
    os.kill(running.supervisor, signal.SIGTERM)
    _wait_until(lambda: folder.running() is None, 2 * _STOP_TIMEOUT_S, "the sandbox did not end")
    return True


def _wait_until(condition: Callable[[], bool], timeout_s: float, otherwise: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise SandboxError(otherwise)
        time.sleep(_WATCH_INTERVAL_S / 2)


def _locked(folder: Folder) -> IO[Any]:
    lock = (folder.path / "supervisor.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise SandboxError(f"a sandbox runs on {folder.path} already; `dstream sandbox down` ends it") from None
    return lock


def _secret_file(folder: Folder, name: str, secret: str) -> Path:
    """Arguments are seen by everyone on the machine, so secrets go by file."""
    path = folder.path / name
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secret)
    return path


def _read_line(pipe: IO[bytes], timeout_s: float) -> bytes:
    """The first line of a server that has `timeout_s` to say it; b"" when it ended or said nothing."""
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.readline()), daemon=True)
    reader.start()
    reader.join(timeout_s)
    return found[0] if found else b""


def _tail(path: Path, lines: int = 20) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])

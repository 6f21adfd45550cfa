"""Runs the two servers of one data folder, restarts a server that exits, and stops both.

Each server is a separate process, so that it can be killed, profiled or monitored alone; on Linux, both exit when the
supervisor does. Single-threaded: it polls the servers.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from dstream_sandbox.certificates import ensure_certificates
from dstream_sandbox.clients import prepare_database
from dstream_sandbox.errors import SandboxError
from dstream_sandbox.folder import KEY_NAME, SQL_USER, Folder, Running
from dstream_sandbox.ports import require_free
from dstream_sandbox.server_process import Server

_INTERVAL_S = 0.05
_LOCK_TIMEOUT_S = 15.0
"""Servers of a killed supervisor have 10 s to exit."""
_log = logging.getLogger(__name__)


class Supervisor:
    """The servers of one folder, which stays locked for the lifetime of this object."""

    def __init__(self, folder: Folder, *, replay_reads: bool = False, sink: bool = False, **given: Any) -> None:
        """`given`: settings to change for this and later starts. Raises SandboxError."""
        self._folder = folder
        self._asked_to_end = threading.Event()
        folder.make()
        self._locks = [_supervisor_lock(folder)]
        try:
            self._locks.append(_servers_lock(folder))
            self.settings = folder.settings_with(**given)
            require_free(self.settings.ports)
            folder.keep(self.settings)
            ensure_certificates(folder.tls)
            self._servers = self._make_servers(replay_reads=replay_reads, sink=sink)
        except BaseException:
            self._unlock()
            raise

    def run(self, on_ready: Callable[[], None], on_stop: Callable[[], None]) -> None:
        """Start both servers and keep them running until SIGTERM, SIGINT or SIGHUP. Raises SandboxError."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                signal.signal(number, lambda *_: self._asked_to_end.set())
        self.start()
        try:
            if not self._asked_to_end.is_set():
                on_ready()
            while not self._asked_to_end.wait(_INTERVAL_S):
                self._tend()
        finally:
            on_stop()
            self.stop()

    def start(self) -> None:
        """Return when both servers accept connections and the database exists. Raises SandboxError."""
        try:
            waiting = set(self._servers)
            while waiting and not self._asked_to_end.wait(_INTERVAL_S):
                waiting -= {server for server in waiting if _started(server)}
            if not waiting:
                prepare_database(self.settings)
                self._announce()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop both servers."""
        for server in self._servers:
            server.terminate()
        for server in self._servers:
            server.join()
        self._folder.set_running(None)
        self._unlock()

    def _tend(self) -> None:
        for server in self._servers:
            event = server.poll(time.monotonic())
            if event == "died":
                delay = f" in {server.delay_s:g} s" if server.delay_s else ""
                last = server.last_words(1)
                _log.warning("%s exited (%s); restarting%s%s", server.name, server.end, delay, last and f". {last}")
            elif event == "ready":
                _log.warning("%s is ready again, pid %s", server.name, server.pid)
            if event:
                self._announce()

    def _announce(self) -> None:
        sqlserver, servicebus = (server.pid for server in self._servers)
        self._folder.set_running(Running(os.getpid(), sqlserver, servicebus))

    def _unlock(self) -> None:
        while self._locks:
            self._locks.pop().close()

    def _make_servers(self, *, replay_reads: bool, sink: bool) -> tuple[Server, Server]:
        folder, settings = self._folder, self.settings
        tls = [f"--cert={folder.tls / 'server.pem'}", f"--key={folder.tls / 'server.key'}"]
        sql = [
            f"--data={folder.path / 'sqlserver'}",
            f"--port={settings.sql_port}",
            f"--user={SQL_USER}",
            f"--password-file={_secret_file(folder, 'sql.password', settings.sql_password)}",
            f"--capture-delay={settings.capture_delay_s}",
            *(["--replay-reads"] if replay_reads else []),
        ]
        control = f"--control-token-file={folder.control_token}"
        bus = [
            f"--data={folder.path / 'servicebus'}",
            f"--amqp-port={settings.amqp_port}",
            f"--amqps-port={settings.amqps_port}",
            f"--admin-port={settings.admin_port}",
            f"--azure-port={settings.azure_port}",
            f"--key-name={KEY_NAME}",
            f"--key-file={_secret_file(folder, 'servicebus.key', settings.servicebus_key)}",
            f"--profile={settings.profile}",
            *(["--sink"] if sink else []),
        ]
        held = self._locks[-1].fileno()
        return (
            Server("sqlserver", [*sql, *tls, control], log=folder.log("sqlserver"), held=held),
            Server("servicebus", [*bus, *tls, control], log=folder.log("servicebus"), held=held),
        )


def _started(server: Server) -> bool:
    event = server.poll(time.monotonic())
    if event == "died":
        raise SandboxError(f"{server.name} did not start ({server.end}); its log:\n{server.last_words()}")
    return event == "ready"


def _supervisor_lock(folder: Folder) -> IO[Any]:
    """Retry briefly, because `status` holds the lock while it checks it."""
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:
        if lock := folder.locked("supervisor"):
            folder.set_running(None)
            return lock
        if folder.running():
            break
        time.sleep(_INTERVAL_S)
    raise SandboxError(f"a sandbox is already running in {folder.path}; stop it with: dstream sandbox down")


def _servers_lock(folder: Folder) -> IO[Any]:
    """Wait for the servers of a killed supervisor to exit."""
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while time.monotonic() < deadline:
        if lock := folder.locked("servers"):
            return lock
        time.sleep(_INTERVAL_S)
    raise SandboxError(
        f"servers of an earlier sandbox still use {folder.path}; kill them: fuser -k {folder.lock_file('servers')}"
    )


def _secret_file(folder: Folder, name: str, secret: str) -> Path:
    """Write a secret to a file, because all users of the machine can read a process's arguments."""
    path = folder.path / name
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secret)
    return path

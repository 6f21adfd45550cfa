"""The listener of the sandbox's SQL Server.

Each connection has its own thread with blocking sockets: a session blocks on row locks and WAITFOR anyway, and the code
reads from top to bottom. One more thread watches for ATTENTION (`tds/attention.py`), and another accepts connections
and disconnects those that do not log in.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from functools import partial
from pathlib import Path

from dstream_sandbox.sqlserver.control import is_http, serve_http
from dstream_sandbox.sqlserver.faults import SqlFaults
from dstream_sandbox.sqlserver.interference import Interference
from dstream_sandbox.sqlserver.session import Engine, SqlError
from dstream_sandbox.sqlserver.tds.attention import AttentionWatch
from dstream_sandbox.sqlserver.tds.connection import Server, serve
from dstream_sandbox.sqlserver.tds.replay import Replay
from dstream_sandbox.sqlserver.tds.tls import server_context

_log = logging.getLogger(__name__)
_LOOPBACK = "127.0.0.1"
_JOIN_TIMEOUT_S = 5.0
_FAILOVER_TIMEOUT_S = 10.0
_INTERVAL_S = 0.01
_LOGIN_TIMEOUT_S = 30.0
"""The server's own limit is not documented. Clients give up earlier: Microsoft's drivers after 15 s by default."""
_CHECK_INTERVAL_S = 0.5
_IN_USE = 3101


class SqlServer:
    """Accepts loopback clients for an engine. The caller closes the engine after `close`."""

    def __init__(
        self,
        engine: Engine,
        *,
        certificate: Path,
        key: Path,
        port: int = 0,
        replay_reads: bool = False,
        control_token: str = "",
        login_timeout_s: float = _LOGIN_TIMEOUT_S,
    ) -> None:
        """Start listening. `port` 0 picks a free port; without `control_token`, control requests are refused.

        A client that has not sent its login or control request after `login_timeout_s` is disconnected. Raises OSError
        if the port is in use.
        """
        tls = server_context(certificate, key)
        self._listener = socket.create_server((_LOOPBACK, port), backlog=128)
        self.faults = SqlFaults()
        self._control_token = control_token
        self._login_timeout_s = login_timeout_s
        interference = Interference(self.faults, self._start_failover)
        self._server = Server(engine, tls, AttentionWatch(), interference, Replay() if replay_reads else None)
        self._lock = threading.Lock()
        self._clients: dict[socket.socket, threading.Thread] = {}
        self._login_by: dict[socket.socket, float] = {}
        """When each client that has not logged in is disconnected, in the order of their connections."""
        self._closing = False
        self._thread = threading.Thread(target=self._accept, name="sql-accept", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self._listener.getsockname()[1]
        return port

    def close(self) -> None:
        """Stop accepting clients, disconnect all of them, and wait for their threads."""
        with self._lock:
            self._closing = True
            clients = dict(self._clients)
        _shut_down(self._listener)
        self._thread.join(_JOIN_TIMEOUT_S)
        self._listener.close()
        for sock in clients:
            _shut_down(sock)
        for thread in clients.values():
            thread.join(_JOIN_TIMEOUT_S)
        self._server.attention.close()

    def _accept(self) -> None:
        self._listener.settimeout(_CHECK_INTERVAL_S)
        while True:
            self._disconnect_overdue()
            try:
                sock, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                if self._closing:
                    return  # the listener was shut down
                time.sleep(_CHECK_INTERVAL_S)  # too many open files
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(sock,), name="sql-session", daemon=True)
            with self._lock:
                if self._closing:
                    sock.close()
                    return
                self._clients[sock] = thread
                self._login_by[sock] = time.monotonic() + self._login_timeout_s
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            if is_http(sock):
                serve_http(sock, self.faults, self._control_token)
            else:
                serve(sock, self._server, partial(self._arrived, sock))
        except OSError:
            pass  # the client disconnected before it sent anything
        except Exception:  # noqa: BLE001 the thread ends here; other clients must not be affected
            _log.exception("connection failed")
        finally:
            with self._lock:
                self._clients.pop(sock, None)
                self._login_by.pop(sock, None)
                sock.close()

    def _arrived(self, sock: socket.socket) -> None:
        with self._lock:
            self._login_by.pop(sock, None)

    def _disconnect_overdue(self) -> None:
        """End the reads of their threads."""
        now = time.monotonic()
        with self._lock:
            for sock, login_by in self._login_by.items():
                if login_by > now:
                    break
                _shut_down(sock)

    def _start_failover(self, database: str) -> None:
        threading.Thread(target=self._fail_over, args=(database,), name="failover", daemon=True).start()

    def _fail_over(self, database: str) -> None:
        """Disconnect all clients and restore the database from NAME.bak: a forced failover to a replica that lags."""
        deadline = time.monotonic() + _FAILOVER_TIMEOUT_S
        while True:
            with self._lock:
                clients = list(self._clients)
            for sock in clients:
                _shut_down(sock)
            try:
                self._server.engine.restore_database(database, f"{database}.bak")
                return
            except SqlError as error:
                if error.number != _IN_USE or time.monotonic() > deadline:
                    _log.error("failover of %s failed: %s", database, error.text)
                    return
            time.sleep(_INTERVAL_S)


def _shut_down(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # already disconnected

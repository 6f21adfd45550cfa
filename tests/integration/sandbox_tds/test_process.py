"""The server as a process: start, stop and restart."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyodbc
import pytest

from tests.integration.sandbox_tds.server_process import ServerProcess

Certificate = tuple[Path, Path]


def test_sigterm_stops_it_cleanly_even_with_clients_connected(tmp_path: Path, certificate: Certificate) -> None:
    server = ServerProcess.start(tmp_path, certificate)
    idle, waiting = server.odbc(), server.odbc()
    waiting.execute("SELECT 1")
    assert server.stop() == 0
    with pytest.raises(pyodbc.Error):
        idle.execute("SELECT 1")


def test_committed_data_survives_kill_9(tmp_path: Path, certificate: Certificate) -> None:
    server = ServerProcess.start(tmp_path, certificate)
    with server.odbc() as connection:
        connection.execute("CREATE DATABASE kept")
    with server.odbc("kept") as connection:
        connection.execute("CREATE TABLE t (id int)")
        connection.execute("INSERT INTO t VALUES (1)")
        open_transaction = server.odbc("kept", autocommit=False)
        open_transaction.execute("INSERT INTO t VALUES (2)")
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(60)
    assert server.process.stdout is not None
    server.process.stdout.close()
    again = ServerProcess.start(tmp_path, certificate, "--port", str(server.port))
    try:
        assert again.port == server.port
        with again.odbc("kept") as connection:
            assert [row.id for row in connection.execute("SELECT id FROM t")] == [1]
    finally:
        again.stop()


def test_the_server_exits_with_the_process_that_started_it(
    tmp_path: Path, certificate: Certificate, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    program = f"""
import os, signal
from pathlib import Path
from tests.integration.sandbox_tds.server_process import ServerProcess
server = ServerProcess.start(Path({str(tmp_path)!r}), (Path({str(certificate[0])!r}), Path({str(certificate[1])!r})))
print(server.process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    root = Path(__file__).parents[3]
    starter = subprocess.run([sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, text=True, timeout=30)
    pid = int(starter.stdout)
    wait_until(lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_a_port_in_use_is_an_error(tmp_path: Path, certificate: Certificate) -> None:
    server = ServerProcess.start(tmp_path, certificate)
    try:
        (tmp_path / "other").mkdir()
        with pytest.raises(ValueError, match="Expecting value"):  # no ready line
            ServerProcess.start(tmp_path / "other", certificate, "--port", str(server.port))
    finally:
        server.stop()

"""Starting, stopping and killing the sandbox."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.sandbox.commands import Commands, ended
from tests.running import BIN, Sandbox, wait_until

_SECRETS = ("sql_password", "servicebus_key")


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    """Commands on a new folder, where nothing runs yet; stopped afterwards."""
    commands = Commands(tmp_path / "data")
    yield commands
    if commands.running:
        commands("down")


@pytest.fixture(scope="module")
def shared(sandbox: Sandbox) -> Commands:
    """Commands on a running sandbox, for tests that leave it running."""
    return Commands(sandbox.folder.path)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@contextlib.contextmanager
def _in_foreground(commands: Commands) -> Iterator[subprocess.Popen[str]]:
    """Run `up` in its own process group, as a terminal does."""
    process = subprocess.Popen(
        [BIN / "dstream", "sandbox", "up", "--data", commands.data],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_stopped_sandbox_restarts_with_the_same_settings_and_data(commands: Commands) -> None:
    commands("up", "--detach")
    before, variables = commands.status, commands("env").stdout
    assert before["servicebus"]["profile"] == "standard"
    certificate = (commands.data / "tls" / "server.pem").read_bytes()
    commands("sql", "CREATE TABLE dbo.Kept (Id int PRIMARY KEY); INSERT dbo.Kept VALUES (7)")
    commands("queue", "kept")

    commands("down")
    assert not commands.status["running"]
    assert all(ended(before[process]["pid"]) for process in ("sqlserver", "servicebus"))
    wait_until(lambda: ended(before["supervisor"]["pid"]), "the supervisor to exit, which has released its lock")

    commands("up", "--detach", "--profile", "premium")
    assert commands.status["servicebus"]["profile"] == "premium"
    assert commands("env").stdout == variables
    assert (commands.data / "tls" / "server.pem").read_bytes() == certificate
    assert commands("sql", "SELECT Id FROM dbo.Kept").stdout == "7\n"
    assert "exists" in commands("queue", "kept").stderr


def test_a_killed_supervisor_ends_its_servers_and_loses_no_data(commands: Commands) -> None:
    commands("up", "--detach")
    before, variables = commands.status, commands("env").stdout
    commands("sql", "CREATE TABLE dbo.Kept (Id int PRIMARY KEY); INSERT dbo.Kept VALUES (7)")

    os.kill(before["supervisor"]["pid"], signal.SIGKILL)
    commands("up", "--detach")

    assert ended(before["sqlserver"]["pid"])
    assert ended(before["servicebus"]["pid"])
    assert commands("env").stdout == variables
    assert commands("sql", "SELECT Id FROM dbo.Kept").stdout == "7\n"


def test_a_killed_server_restarts_with_its_port_and_data(shared: Commands) -> None:
    shared("sql", "CREATE TABLE dbo.Survivor (Id int PRIMARY KEY); INSERT dbo.Survivor VALUES (7)")
    shared("queue", "survivor")
    before = shared.status
    killed = [before[server]["pid"] for server in ("sqlserver", "servicebus")]

    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    shared.wait_until_running(
        lambda now: not {now.sqlserver, now.servicebus} & {None, *killed}, "both servers to be ready again"
    )

    after = shared.status
    assert after["sqlserver"]["pid"] != before["sqlserver"]["pid"]
    assert after["sqlserver"]["port"] == before["sqlserver"]["port"]
    assert after["supervisor"] == before["supervisor"]
    assert shared("sql", "SELECT Id FROM dbo.Survivor").stdout == "7\n"
    assert "exists" in shared("queue", "survivor").stderr
    assert "sqlserver exited (killed by SIGKILL)" in shared("logs", "supervisor").stdout


def test_a_server_that_cannot_restart_is_retried_with_backoff(commands: Commands) -> None:
    commands("up", "--detach")
    pid = commands.status["sqlserver"]["pid"]
    certificate = commands.data / "tls" / "server.pem"
    certificate.rename(certificate.with_suffix(".away"))

    os.kill(pid, signal.SIGKILL)
    log = commands.data / "logs" / "supervisor.log"
    wait_until(lambda: "restarting in 0.5 s" in log.read_text(), "two failed attempts")
    status = commands.status
    assert status["running"]
    assert status["sqlserver"]["pid"] is None
    assert "restarting" in commands("status").stdout
    assert "server.pem" in log.read_text(), "the log lacks the server's last output"

    certificate.with_suffix(".away").rename(certificate)
    commands.wait_until_running(lambda now: now.sqlserver is not None, "SQL Server to be ready again")
    assert commands("sql", "SELECT 1").stdout == "1\n"


def test_a_port_in_use_is_named_and_not_saved(commands: Commands, taken_port: int) -> None:
    told = commands.error("up", "--detach", "--admin-port", str(taken_port))
    assert told.startswith(f"port {taken_port} on 127.0.0.1 is already in use")
    assert told.endswith("dstream sandbox up --admin-port PORT")
    assert not (commands.data / "sandbox.json").exists()


def test_one_port_for_two_servers_is_refused(commands: Commands) -> None:
    assert "--sql-port and --amqp-port are both 20123" in commands.error(
        "up", "--sql-port", "20123", "--amqp-port", "20123"
    )


def test_a_second_up_on_the_same_folder_is_refused(shared: Commands) -> None:
    before = shared.running
    for flags in ([], ["--detach"]):
        assert "a sandbox is already running in" in shared.error("up", *flags)
    assert shared.running == before


def test_pids_from_an_earlier_run_are_ignored(commands: Commands) -> None:
    commands.data.mkdir()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        pids = dict.fromkeys(("supervisor", "sqlserver", "servicebus"), stranger.pid)
        (commands.data / "running.json").write_text(json.dumps(pids))
        (commands.data / "supervisor.lock").touch()

        assert not commands.status["running"]
        assert "No sandbox is running" in commands("down").stderr
        assert stranger.poll() is None
        stranger.kill()


def test_an_invalid_data_folder_is_named(commands: Commands) -> None:
    (commands.data.parent / "file").touch()
    told = Commands(commands.data.parent / "file" / "below").error("up", "--detach")
    assert told.endswith("as the data folder: Not a directory; choose another with --data")


def test_an_unknown_settings_file_is_named(commands: Commands) -> None:
    commands.data.mkdir()
    (commands.data / "sandbox.json").write_text('{"colour": "red"}')
    for command in ("up", "status"):
        assert "sandbox.json was not written by this version" in commands.error(command)


@pytest.mark.parametrize("command", [("env",), ("sql", "SELECT 1"), ("fault", "list")])
def test_without_a_sandbox_commands_say_how_to_start_one(commands: Commands, command: tuple[str, ...]) -> None:
    assert "start one with `dstream sandbox up --detach`" in commands.error(*command)


def test_ctrl_c_stops_a_sandbox_in_the_foreground(commands: Commands) -> None:
    with _in_foreground(commands) as process:
        before = commands.wait_until_running(lambda _: True, "the sandbox to run")
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Press Ctrl-C to stop it." in told
    assert "restarting" not in told
    assert ended(before.sqlserver or 0)
    assert ended(before.servicebus or 0)
    assert commands.running is None


def test_sigterm_stops_a_sandbox_that_is_still_starting(commands: Commands) -> None:
    with _in_foreground(commands) as process:
        wait_until(lambda: (commands.data / "logs" / "sqlserver.log").exists(), "a server to start")
        servers = psutil.Process(process.pid).children()
        process.terminate()
        process.communicate(timeout=30)
    assert servers
    assert all(ended(server.pid) for server in servers)
    assert commands.running is None


def test_servers_hold_the_lock_on_their_ports_and_data(shared: Commands) -> None:
    running = shared.running
    assert running is not None
    for pid in (running.sqlserver, running.servicebus):
        assert str(shared.data / "servers.lock") in [file.path for file in psutil.Process(pid).open_files()]


def test_the_sandbox_listens_on_loopback_only_and_leaks_no_secrets(shared: Commands) -> None:
    settings = json.loads((shared.data / "sandbox.json").read_text())
    status = shared.status
    processes = [psutil.Process(status[name]["pid"]) for name in ("supervisor", "sqlserver", "servicebus")]

    listening = [each.laddr for process in processes for each in process.net_connections() if each.status == "LISTEN"]
    assert sorted(address.port for address in listening) == sorted(
        settings[name] for name in settings if name.endswith("_port")
    )
    # gRPC uses the IPv4-mapped IPv6 form of the address (RFC 4291 section 2.5.5.2).
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    told = shared("logs").stdout + "".join(" ".join(process.cmdline()) for process in processes)
    assert not [name for name in _SECRETS if settings[name] in told]
    shared("env")  # writes a bundle of certificates
    assert (shared.data / "control.token").is_file()
    assert [path for path in (shared.data, *shared.data.rglob("*")) if path.stat().st_mode & 0o077] == []

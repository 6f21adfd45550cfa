"""The control socket of a running host: status, a clean stop, and access for its own user only."""

from __future__ import annotations

import json
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from dstream.host import RestartPolicy, ask_host, socket_path
from tests.conformance.runs import TASK, Background, Recorded, job, provider, run
from tests.running import wait_until


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Background]:
    """A task that has settled 10 rows and is waiting."""
    run = Background(job(tmp_path, input=provider("input.py", 3, hold=True), socket_dir=tmp_path / "run"))
    run.events.wait_for_progress(lambda progress: progress.last_seq == 2)
    yield run
    run.stop.request()
    run.result()


def path_of(folder: Path) -> Path:
    return socket_path(folder / "run", "dev", TASK)


def test_status_returns_live_figures(running: Background, tmp_path: Path) -> None:
    status = ask_host(path_of(tmp_path), "status")
    assert status is not None
    assert (status["schema_version"], status["task"], status["run_id"]) == (1, TASK, "run-1")
    assert (status["phase"], status["rows"], status["in_flight"]) == ("streaming", 10, 0)
    assert status["checkpoints"] in (1, 2)  # one write can cover both acks
    assert (status["input"], status["transform"], status["output"]) == ("input", None, "output")
    assert status["restarts"] == 0
    assert status["started_at"].endswith("Z")


def test_a_snapshot_is_requested_from_an_input_that_can_take_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = tmp_path / "requests"
    monkeypatch.setenv("MORE", "once snapshot")
    able = provider("input.py", 3, hold=True, snapshots=str(requests))
    task = Background(job(tmp_path, input=able, socket_dir=tmp_path / "run"))
    task.events.wait_for_progress(lambda progress: progress.last_seq == 2)
    answer = ask_host(path_of(tmp_path), "snapshot", tables=["dbo.A", "dbo.B"])
    assert answer == {"schema_version": 1, "requested": ["dbo.A", "dbo.B"]}
    wait_until(lambda: requests.exists() and requests.read_text() == '["dbo.A", "dbo.B"]\n', "the request")
    task.stop.request()
    assert task.result().drained


def test_a_snapshot_is_refused_by_an_input_that_cannot_take_one(running: Background, tmp_path: Path) -> None:
    answer = ask_host(path_of(tmp_path), "snapshot", tables=["dbo.A"])
    assert answer is not None
    assert "does not support snapshots" in answer["error"]


def test_stop_drains_and_removes_the_socket(running: Background, tmp_path: Path) -> None:
    assert ask_host(path_of(tmp_path), "stop") == {"schema_version": 1, "stopping": True}
    assert running.result().drained
    assert not path_of(tmp_path).exists()
    assert ask_host(path_of(tmp_path), "status") is None


def test_the_socket_is_private(running: Background, tmp_path: Path) -> None:
    mode = path_of(tmp_path).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE(path_of(tmp_path).parent.stat().st_mode) == 0o700


def test_a_connection_can_send_several_requests_in_pieces(running: Background, tmp_path: Path) -> None:
    with connected(tmp_path) as silent, connected(tmp_path) as client, client.makefile("rb") as answers:
        silent.sendall(b'{"request":')
        for _ in range(2):
            client.sendall(b'{"request":')
            client.sendall(b'"status"}\n')
            assert json.loads(answers.readline())["task"] == TASK


@pytest.mark.parametrize("line", [b"junk", b"[]", b"{}", b"\xff\xfe", b'{"request":"fly"}', b'{"request":[1]}'])
def test_an_invalid_request_is_answered_with_an_error(running: Background, tmp_path: Path, line: bytes) -> None:
    with connected(tmp_path) as client, client.makefile("rb") as answers:
        client.sendall(line + b"\n")
        assert "request" in json.loads(answers.readline())["error"]
    assert ask_host(path_of(tmp_path), "status")


def test_an_endless_line_closes_the_connection(running: Background, tmp_path: Path) -> None:
    with connected(tmp_path) as client, pytest.raises(OSError):  # noqa: PT012  # until the host closes the connection
        while True:
            client.sendall(b"x" * 65536)
    assert ask_host(path_of(tmp_path), "status")


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = path_of(tmp_path)
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert ask_host(path, "status") is None
    running = started(tmp_path)
    assert ask_host(path, "stop")
    assert running.result().drained


def test_a_path_longer_than_a_socket_address_works(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    running = started(tmp_path, socket_dir=folder / "run")
    assert ask_host(path_of(folder), "stop")
    assert running.result().drained


def test_a_run_continues_if_its_socket_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("in the way")
    events = Recorded()
    assert run(job(tmp_path, socket_dir=tmp_path / "run"), events).rows == 10
    assert events.named("control.unavailable")


def test_status_and_stop_work_during_a_restart_delay(tmp_path: Path) -> None:
    policy = RestartPolicy(initial_delay_s=600.0, max_delay_s=600.0)
    faulty = provider("input.py", 3, fault="exit")
    running = Background(job(tmp_path, input=faulty, restart=policy, socket_dir=tmp_path / "run"))
    running.events.wait_for("run.restarting")
    status = ask_host(path_of(tmp_path), "status")
    assert status is not None
    assert status["phase"] == "restarting"
    assert ask_host(path_of(tmp_path), "stop")
    assert not running.result().drained


def test_no_threads_or_descriptors_leak(tmp_path: Path) -> None:
    process = psutil.Process()
    before = process.num_fds(), threading.active_count()
    running = started(tmp_path)
    with connected(tmp_path):
        running.stop.request()
        running.result()
    assert (process.num_fds(), threading.active_count()) == before


def started(folder: Path, **changes: Any) -> Background:
    changes = {"input": provider("input.py", 3, hold=True), "socket_dir": folder / "run", **changes}
    running = Background(job(folder, **changes))
    running.events.wait_for("run.started")
    return running


def connected(folder: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    client.connect(str(path_of(folder)))
    return client

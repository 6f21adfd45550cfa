"""A server's process, with times given by the test: no test waits for a delay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from dstream_sandbox.server_process import Server

from tests.running import planted_modules, wait_until


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Server]:
    """A server that exits as soon as it starts."""
    with (tmp_path / "lock").open("w") as held:
        server = Server("servicebus", ["--nonsense"], log=tmp_path / "log", held=held.fileno())
        yield server
        server.terminate()
        server.join()


def _dies(server: Server, now: float) -> None:
    assert server.poll(now) is None, "the server did not start"
    wait_until(lambda: server.poll(now) == "died", "the server to exit")


def test_a_server_that_cannot_start_is_retried_with_backoff(broken: Server) -> None:
    _dies(broken, 100.0)
    assert broken.end == "exit code 2"
    assert "--key-file" in broken.last_words()
    assert broken.pid is None

    assert broken.poll(100.24) is None
    assert not [child for child in psutil.Process().children() if "--nonsense" in child.cmdline()]
    _dies(broken, 100.25)
    assert broken.delay_s == 0.5


def test_modules_in_the_working_folder_are_not_imported(
    broken: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = planted_modules(tmp_path)
    monkeypatch.chdir(tmp_path)
    _dies(broken, 100.0)
    assert broken.end == "exit code 2"
    assert not ran.exists()

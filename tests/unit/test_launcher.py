"""What programs inherit from the launcher, and what happens if they cannot start or their parent is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dstream import launcher


def test_a_program_keeps_its_pid_arguments_and_environment() -> None:
    script = "import os, sys; print(os.getpid(), sys.argv[1], os.environ['NAME'])"
    process = launcher.start(
        [sys.executable, "-c", script, "two words"],
        stdout=subprocess.PIPE,
        env={**os.environ, "NAME": "value"},
    )
    assert process.communicate(timeout=30)[0].decode() == f"{process.pid} two words value\n"


def test_a_program_has_the_default_handling_of_sigpipe() -> None:
    process = launcher.start(["sh", "-c", "kill -PIPE $$; echo survived"], stdout=subprocess.PIPE)
    assert process.communicate(timeout=30)[0] == b""
    assert process.returncode == -signal.SIGPIPE


def test_a_missing_program_raises_file_not_found() -> None:
    with pytest.raises(FileNotFoundError, match="/nowhere/program"):
        launcher.start(["/nowhere/program"])


def test_a_file_that_cannot_be_executed_raises_permission_error(tmp_path: Path) -> None:
    (tmp_path / "program").write_text("")
    with pytest.raises(PermissionError):
        launcher.start([str(tmp_path / "program")])


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel offers this on Linux only")
def test_a_program_is_killed_with_its_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        parent.kill()
        assert parent.stdout.read() == b""  # ends when the program is gone, which holds the pipe, too


_PARENT = """
from dstream import launcher

launcher.start(["sh", "-c", "trap '' TERM INT; echo ready; while :; do sleep 0.01; done"]).wait()
"""

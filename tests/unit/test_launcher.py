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
        signal.SIGKILL,
        stdout=subprocess.PIPE,
        env={**os.environ, "NAME": "value"},
    )
    assert process.communicate(timeout=30)[0].decode() == f"{process.pid} two words value\n"


def test_a_program_has_the_default_handling_of_sigpipe() -> None:
    process = launcher.start(["sh", "-c", "kill -PIPE $$; echo survived"], signal.SIGKILL, stdout=subprocess.PIPE)
    assert process.communicate(timeout=30)[0] == b""
    assert process.returncode == -signal.SIGPIPE


def test_a_missing_program_raises_file_not_found() -> None:
    with pytest.raises(FileNotFoundError, match="/nowhere/program"):
        launcher.start(["/nowhere/program"], signal.SIGKILL)


def test_a_file_that_cannot_be_executed_raises_permission_error(tmp_path: Path) -> None:
    (tmp_path / "program").write_text("")
    with pytest.raises(PermissionError):
        launcher.start([str(tmp_path / "program")], signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel offers this on Linux only")
def test_a_program_gets_the_signal_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent:
        assert parent.stdout.readline() == b"ready\n"
        parent.kill()
        assert parent.stdout.readline() == b"terminated\n"  # the program holds the pipe too


_PARENT = """
import signal, sys
from dstream import launcher

program = "trap 'echo terminated; exit' TERM; echo ready; while :; do sleep 0.01; done"
launcher.start(["sh", "-c", program], signal.SIGTERM).wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel offers this on Linux only")
def test_a_program_gets_the_signal_once_however_many_threads_its_parent_has() -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT_WITH_THREADS, _COUNTER], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent:
        started = [parent.stdout.readline() for _ in range(8)]
        parent.kill()
        assert started == [b"ready\n"] * 8
        assert [parent.stdout.readline() for _ in range(8)] == [b"1\n"] * 8


_PARENT_WITH_THREADS = """
import signal, sys, threading
from dstream import launcher

for _ in range(8):
    command = [sys.executable, "-c", sys.argv[1]]
    threading.Thread(target=lambda: launcher.start(command, signal.SIGRTMIN).wait()).start()
"""
_COUNTER = """
import os, signal, time

received = []
signal.signal(signal.SIGRTMIN, lambda *_: received.append(1))
parent = os.getppid()
os.write(1, b"ready\\n")
while os.getppid() == parent:
    time.sleep(0.01)
os.write(1, b"%d\\n" % len(received))
"""
"""Real-time signals are queued, so that each one counts (signal(7))."""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_process_ends_as_the_program_does(number: signal.Signals) -> None:
    assert launcher.start(["sh", "-c", "exit 3"], number).wait(timeout=30) == 3
    assert launcher.start(["sh", "-c", "kill -TERM $$"], number).wait(timeout=30) == -signal.SIGTERM


def test_the_process_group_contains_the_program() -> None:
    program = launcher.start(
        ["sh", "-c", "trap 'exit 4' TERM; echo ready; while :; do sleep 0.01; done"],
        signal.SIGINT,
        stdout=subprocess.PIPE,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == b"ready\n"
    os.killpg(program.pid, signal.SIGTERM)
    with program:
        assert program.wait(timeout=30) == 4

"""A run that goes on whatever is killed, and the kills."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping

import psutil

from tests.running import DStream, RunningCommand, wait_until


class Stream:
    """`dstream run`, started again whenever it exits, as a service manager would. It restarts its own providers."""

    def __init__(self, dstream: DStream, providers: Mapping[str, str]) -> None:
        """`providers`: by role, a word in the command line of the provider."""
        self._dstream = dstream
        self._providers = providers
        self._stack = contextlib.ExitStack()
        self.run: RunningCommand = self._start()

    def _start(self) -> RunningCommand:
        return self._stack.enter_context(self._dstream.running("run", "orders"))

    def kill(self, role: str) -> None:
        """Send SIGKILL to one of its processes. Repeat until the kill ended it, and not something else just before."""
        kill = self._kill_host if role == "host" else self._kill_provider
        while not kill(self._providers.get(role, "")):
            self.keep_running()

    def _kill_host(self, _: str) -> bool:
        process = self.run.process
        process.send_signal(signal.SIGKILL)
        wait_until(lambda: process.poll() is not None, "the host to exit")
        self.keep_running()
        return process.returncode == -signal.SIGKILL

    def _kill_provider(self, name: str) -> bool:
        pid, run = self._provider(name), self.run
        restarts, kill_restarts = _restarts(run), _restarts(run, "SIGKILL")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda: _restarts(run) > restarts or run.process.poll() is not None,
            f"the host to notice the death of its {name}:\n{run.stderr}",
        )
        # A run exits on its own only if it never started, because a server was down.
        assert run.process.poll() is None or (run.process.returncode == 6 and "run.started" not in run.stderr), (
            run.stderr
        )
        return _restarts(run, "SIGKILL") > kill_restarts

    def _provider(self, name: str) -> int:
        """The provider's pid, once it has started."""

        def find() -> int:
            self.keep_running()
            with contextlib.suppress(psutil.NoSuchProcess, StopIteration):
                return self.run.child(name).pid
            return 0

        pid: int = wait_until(find, f"a process of {name}")
        return pid

    def keep_running(self) -> None:
        if self.run.process.poll() is not None:
            self.run = self._start()

    def is_streaming(self) -> bool:
        self.keep_running()
        said = self.run.stderr
        return max(said.rfind("run.started"), said.rfind("run.restarted")) > said.rfind("run.restarting")

    def stop(self) -> None:
        self._stack.close()


def _restarts(run: RunningCommand, cause: str = "") -> int:
    """How often the run has begun to restart its providers, for that cause."""
    return sum("run.restarting" in line and cause in line for line in run.stderr.splitlines())

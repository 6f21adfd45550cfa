"""One server process: starts it, restarts it with backoff when it exits, and stops it.

Only `join` blocks: the supervisor polls.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

_READY_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0
_SHORT_LIFE_S = 1.0
_FIRST_DELAY_S = 0.25
_LONGEST_DELAY_S = 30.0

Event = Literal["ready", "died"]


def restart_delay_s(short_lives: int) -> float:
    """Delay before the next start, after `short_lives` consecutive immediate exits: none for 0, then 0.25 s, doubled
    each time, at most 30 s."""
    if short_lives == 0:
        return 0.0
    return min(_FIRST_DELAY_S * 2.0 ** min(short_lives - 1, 16), _LONGEST_DELAY_S)


class Server:
    """The process `python -P -m dstream_sandbox.NAME`; `-P`, because a `json.py` in the working folder must not run. It
    inherits `held`, the descriptor of the lock on its files."""

    def __init__(self, name: str, arguments: Sequence[str], *, log: Path, held: int) -> None:
        self.name = name
        self.end = ""
        """How the process last exited, for messages."""
        self._arguments = arguments
        self._log = log
        self._held = held
        self._process: subprocess.Popen[bytes] | None = None
        self._said = b""
        self._started_at = 0.0
        self._ready_at: float | None = None
        self._start_at = 0.0
        self._short_lives = 0
        self._log_begin = 0

    @property
    def pid(self) -> int | None:
        """The process id; None until the process accepts connections."""
        return self._process.pid if self._process and self._ready_at is not None else None

    @property
    def delay_s(self) -> float:
        """Delay before the next start."""
        return restart_delay_s(self._short_lives)

    def poll(self, now: float) -> Event | None:
        """Start the process when due. Report once when it accepts connections, and once when it exits."""
        if self._process is None:
            return self._start(now) if now >= self._start_at else None
        if self._process.poll() is not None:
            return self._died(now, _how(self._process.returncode))
        if self._ready_at is None and self._says_ready():
            self._ready_at = now
            return "ready"
        if self._ready_at is None and now - self._started_at > _READY_TIMEOUT_S:
            self._process.kill()
        return None

    def terminate(self) -> None:
        """Tell the process to exit; `join` waits for it."""
        if self._process:
            self._process.terminate()

    def join(self) -> None:
        """Wait until the process has exited; kill it after a timeout."""
        if self._process is None:
            return
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._forget()

    def last_words(self, lines: int = 20) -> str:
        """The last lines that the process has logged since its last start."""
        with self._log.open("rb") as log:
            log.seek(self._log_begin)
            text = log.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def _start(self, now: float) -> Event | None:
        """Start the process in its own process group, so that Ctrl-C only reaches the supervisor, which stops the
        servers in order."""
        try:
            with self._log.open("ab") as log:
                self._log_begin = log.tell()
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", f"dstream_sandbox.{self.name}", *self._arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    pass_fds=(self._held,),
                    process_group=0,
                )
        except OSError as error:
            return self._died(now, str(error))
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self._started_at = now
        return None

    def _died(self, now: float, how: str) -> Event:
        self.end = how
        lived_long = self._ready_at is not None and now - self._ready_at > _SHORT_LIFE_S
        self._short_lives = 0 if lived_long else self._short_lives + 1
        self._start_at = now + self.delay_s
        self._forget()
        return "died"

    def _forget(self) -> None:
        if self._process and self._process.stdout:
            self._process.stdout.close()
        self._process = None
        self._ready_at = None
        self._said = b""

    def _says_ready(self) -> bool:
        assert self._process is not None
        assert self._process.stdout is not None
        self._said += self._process.stdout.read() or b""
        line, newline, _ = self._said.partition(b"\n")
        return bool(newline) and bool(json.loads(line).get("ready"))


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    return f"killed by {signal.Signals(-code).name}"

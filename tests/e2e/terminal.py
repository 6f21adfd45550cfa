"""A `dstream` command on a terminal, as an operator sees it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.running import BIN, DEADLINE_S, DStream, wait_until


class Terminal:
    """A running command, and all that it has written to its terminal."""

    def __init__(self, process: subprocess.Popen[bytes], leader: int) -> None:
        self.process = process
        self._leader = leader
        self._written = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def shown(self) -> str:
        return self._written.decode(errors="replace")

    def says(self, text: str, timeout_s: float = DEADLINE_S) -> None:
        """Wait until the terminal has shown the text."""

        def said() -> bool:
            if text in self.shown:
                return True
            assert self.process.poll() is None, f"ended with {self.process.returncode} before {text!r}:\n{self.shown}"
            return False

        wait_until(said, f"{text!r} on the terminal", timeout_s)

    def ended(self) -> int:
        code = self.process.wait(DEADLINE_S)
        self._reader.join()
        return code

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # EIO: the command has ended (pty(7))
            while chunk := os.read(self._leader, 1 << 16):
                self._written += chunk
        os.close(self._leader)


@contextmanager
def at_a_terminal(dstream: DStream, *arguments: str) -> Iterator[Terminal]:
    """Run the command on a terminal of 30 lines and 100 columns; kill it at the end if it is still running."""
    leader, follower = os.openpty()
    termios.tcsetwinsize(follower, (30, 100))
    process = subprocess.Popen(
        [BIN / "dstream", *arguments],
        cwd=dstream.cwd,
        env=dstream.env,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    terminal = Terminal(process, leader)
    try:
        yield terminal
    finally:
        process.kill()
        process.wait()

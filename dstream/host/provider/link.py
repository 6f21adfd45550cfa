"""Starts, greets and ends a provider.

`ProviderLink` owns a process, its stdin (through a writer thread) and its handshake; stdout belongs to a single reader.
In a run, the reader is a thread per provider (`host/run/reader.py`). For one request to one provider, as in `describe`
and the lifecycle commands, `LineLink` reads stdout on the caller's thread.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dstream.host.provider import failures, memory
from dstream.host.provider.process import ProviderProcess, is_readable
from dstream.host.provider.spec import ProviderSpec
from dstream.host.provider.writer import PipeWriter
from dstream.protocol import DEFAULT_MAX_LINE
from dstream.protocol.framing import CHUNK_BYTES, LineBuffer, LineTooLong
from dstream.protocol.handshake import Handshake, speaks_this_version
from dstream.protocol.messages import Hello, Role

TICK_S = 0.1
"""Maximum time that a wait for a provider ignores a stop request."""


_KILL_S = 5.0
"""How long the kernel may take to end a killed process."""
_PIPES_S = 1.0
"""How long the rest of an ended provider's pipes may take to read."""


class MustRestart(Exception):
    """A provider treated as legacy sent hello late: restart it and wait for its hello."""

    def __init__(self, role: Role) -> None:
        super().__init__(f"{role} sent hello late")
        self.role: Role = role


class ProviderLink:
    """A running provider. Create it and shut it down on one thread, which must outlive the process.

    Raises ConfigError if the provider cannot be started.
    """

    reader: threading.Thread | None = None
    """The thread that reads stdout, if there is one; it must end at EOF."""
    rows_from: threading.Thread | None = None
    """The thread that writes to stdin after the writer, if there is one."""

    def __init__(
        self,
        role: Role,
        spec: ProviderSpec,
        *,
        cwd: Path | None,
        on_stderr: Callable[[str], None] = lambda _: None,
        on_exit: Callable[[], None] = lambda: None,
        on_stdin_broken: Callable[[], None] = lambda: None,
    ) -> None:
        """The callbacks run on the link's own threads."""
        self.role: Role = role
        self.spec = spec
        self.config: Mapping[str, Any] = spec.config
        """What the provider gets; `learn_settings` fits it to the provider's schema."""
        self.handshake = Handshake()
        environ = os.environ if spec.environ is None else spec.environ
        self.process = ProviderProcess(role, spec, cwd=cwd, environ=environ, on_stderr=on_stderr, on_exit=on_exit)
        self.writer = PipeWriter(f"{role}-stdin", self.process.stdin, on_stdin_broken)
        self.writer.start()

    @property
    def name(self) -> str:
        """The name in the provider's hello, or the label in the configuration."""
        hello = self.handshake.hello
        return (hello.name if hello else "") or self.spec.label

    @property
    def capabilities(self) -> frozenset[str]:
        """Empty for legacy providers."""
        hello = self.handshake.hello
        return frozenset(hello.capabilities) if hello else frozenset()

    def hello_patience_s(self, usual_s: float) -> float:
        """How long to wait for hello before treating the provider as legacy."""
        return memory.patience_s(self.spec.argv, usual_s)

    def check_hello(self, hello: Hello, role: Role | None) -> None:
        """Raise ConfigError for a different protocol version, or a role other than `role` (None: any role)."""
        if not speaks_this_version(hello):
            raise failures.wrong_protocol(role or hello.role, self.spec, hello)
        if role is not None and hello.role != role:
            raise failures.wrong_role(role, self.spec, hello)

    def remember_protocol(self) -> None:
        """Cache whether the provider is legacy, so that the next start need not wait for hello."""
        memory.remember_protocol(self.spec.argv, is_legacy=self.handshake.is_legacy)

    def join(self, timeout_s: float) -> None:
        """Wait for the threads and close the pipes. Call it after the process has ended.

        A pipe that a process in another session still holds open stays with the thread that uses it, which ends when
        that process does.
        """
        deadline_s = time.monotonic() + timeout_s
        self.writer.release()
        self.writer.join(timeout_s)
        if self.reader is not None:
            self.reader.join(max(0.0, deadline_s - time.monotonic()))
        self.process.join(
            max(0.0, deadline_s - time.monotonic()),
            closes_stdin=not any(map(_is_alive, (self.writer, self.rows_from))),
            closes_stdout=not _is_alive(self.reader),
        )


def _is_alive(thread: threading.Thread | None) -> bool:
    return thread is not None and thread.is_alive()


def shut_down(
    links: Sequence[ProviderLink],
    number: signal.Signals,
    grace_s: float,
    is_urgent: Callable[[], bool] = lambda: False,
) -> None:
    """End the providers and everything they started, kill them after `grace_s` seconds or when `is_urgent`, and clean
    up."""
    for link in links:
        link.process.end(number)
        # After `stop`, an SDK input waits for its last acks until EOF.
        link.writer.close()
    deadline_s = time.monotonic() + grace_s
    for link in links:
        while (left_s := deadline_s - time.monotonic()) > 0 and not is_urgent():
            if link.process.wait(min(TICK_S, left_s)):
                break
    for link in links:
        link.process.end(signal.SIGKILL)
        link.process.wait(_KILL_S)
    for link in links:
        link.join(_PIPES_S)


class LineLink(ProviderLink):
    """A provider whose lines are read one by one on the thread that started it."""

    def __init__(
        self, role: Role, spec: ProviderSpec, *, cwd: Path | None, on_stderr: Callable[[str], None] = lambda _: None
    ) -> None:
        # A broken stdin adds nothing: the provider has ended or is about to, and its stdout shows how.
        super().__init__(role, spec, cwd=cwd, on_stderr=on_stderr)
        self._splitter = LineBuffer("result", DEFAULT_MAX_LINE)
        self._lines: deque[bytes] = deque()
        self._at_eof = False
        self._too_long: LineTooLong | None = None

    def next_line(self, timeout_s: float) -> bytes | None:
        """Return the next non-blank line; b"" if none arrives within `timeout_s` seconds, None at EOF.

        Raises LineTooLong.
        """
        deadline_s = time.monotonic() + timeout_s
        while not self._lines:
            if self._too_long is not None:
                raise self._too_long
            if self._at_eof:
                return None
            chunk = self._read(deadline_s - time.monotonic())
            if chunk is None:
                return b""
            self._at_eof = not chunk
            try:
                for line in self._splitter.feed(chunk) if chunk else [self._splitter.rest]:
                    if line.strip():
                        self._lines.append(line)
            except LineTooLong as error:
                self._too_long = error
        return self._lines.popleft()

    def greet(
        self,
        hear: Callable[[bytes], object],
        *,
        timeout_s: float,
        legacy_after_s: float | None,
        check_stop: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> bool:
        """Wait for hello, or until the provider counts as legacy. Write nothing before that.

        `hear` gets each line and passes it to the handshake. `legacy_after_s`: how long to wait for hello before
        treating the provider as legacy; None if it is known to send one. `check_stop` may raise. Returns False at EOF.
        Raises SystemFault if a hello is certain but does not arrive within `timeout_s`.
        """
        deadline_s = clock() + (timeout_s if legacy_after_s is None else legacy_after_s)
        while self.handshake.hello is None and not self.handshake.is_legacy:
            check_stop()
            line = self.next_line(max(0.0, min(TICK_S, deadline_s - clock())))
            if line is None:
                return False
            if line:
                hear(line)
            elif clock() >= deadline_s:
                if legacy_after_s is None:
                    stderr = self.process.last_stderr_lines()
                    raise failures.not_ready(self.role, self.spec, "hello", timeout_s, stderr)
                self.handshake.treat_as_legacy()
        if self.handshake.has_spoken:
            self.remember_protocol()
        return True

    def let_exit(self, grace_s: float) -> None:
        """Wait up to `grace_s` seconds for the provider to exit by itself; discard what it still writes."""
        deadline_s = time.monotonic() + grace_s
        while self.process.exit_code is None and (left_s := deadline_s - time.monotonic()) > 0:
            if self._read(min(TICK_S, left_s)) == b"":
                self.process.wait(left_s)
                return

    def _read(self, timeout_s: float) -> bytes | None:
        """Return the next bytes of stdout; None if none arrive in time, b"" at EOF."""
        stdout = self.process.stdout.fileno()
        if not is_readable(stdout, timeout_s):
            return None
        return os.read(stdout, CHUNK_BYTES)

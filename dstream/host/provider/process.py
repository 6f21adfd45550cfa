"""A provider's process: it has its own session, is signalled as a group, and ends with the host (rule 12)."""

from __future__ import annotations

import collections
import contextlib
import errno
import fcntl
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from dstream import launcher
from dstream.errors import ConfigError
from dstream.host.provider import failures
from dstream.host.provider.spec import ProviderSpec
from dstream.host.provider.stderr_blocks import StderrBlocks
from dstream.protocol import ENV_PROTOCOL, PROTOCOL_VERSION
from dstream.protocol.framing import CHUNK_BYTES
from dstream.protocol.messages import Role

_PIPE_BYTES = 1024 * 1024
_STDERR_LINE_BYTES = 16 * 1024
_STDERR_LINES_KEPT = 20
_BLOCK_S = 0.1
"""Lines that come later than this are not part of the same traceback."""
_EXHAUSTED = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


class ProviderProcess:
    """One provider's process and the threads that watch it: one for its exit, one for its stderr.

    Start it from a thread that outlives it (see `launcher.start`).
    """

    def __init__(
        self,
        role: Role,
        spec: ProviderSpec,
        *,
        cwd: Path | None,
        environ: Mapping[str, str],
        on_stderr: Callable[[str], None],
        on_exit: Callable[[], None],
    ) -> None:
        self.role = role
        self._tail: collections.deque[str] = collections.deque(maxlen=_STDERR_LINES_KEPT)
        self._on_stderr = on_stderr
        self._on_exit = on_exit
        self._gone = threading.Event()
        self._popen = _start(role, spec, cwd, environ)
        self.pid = self._popen.pid
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        assert self._popen.stderr is not None
        self.stdin: IO[bytes] = self._popen.stdin
        """Unbuffered. Its writer closes it, which is EOF for the provider."""
        self.stdout: IO[bytes] = self._popen.stdout
        """Unbuffered."""
        for pipe in (self.stdin, self.stdout):
            _enlarge(pipe.fileno())
        self._stderr = threading.Thread(
            target=self._read_stderr, args=(self._popen.stderr,), name=f"{role}-stderr", daemon=True
        )
        self._waiter = threading.Thread(target=self._wait, name=f"{role}-wait", daemon=True)
        self._stderr.start()
        self._waiter.start()

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._popen.returncode if self._gone.is_set() else None

    def last_stderr_lines(self) -> tuple[str, ...]:
        """Return the last lines of stderr; complete once the process has exited."""
        if self._gone.is_set():
            self._stderr.join(timeout=1.0)
        return tuple(self._tail)

    def end(self, number: signal.Signals) -> None:
        """Signal the whole group; do nothing if it is gone."""
        if self._gone.is_set():
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
            os.killpg(self.pid, number)

    def wait(self, timeout_s: float) -> bool:
        """Return whether it exits within `timeout_s` seconds."""
        return self._gone.wait(timeout_s)

    def join(self, timeout_s: float, *, closes_stdin: bool = True, closes_stdout: bool) -> None:
        """Wait for the threads and close the pipes. Call it when the process has ended.

        `closes_stdin`, `closes_stdout`: no thread writes or reads it any more. A descriptor that is closed while it is
        used may be reused, for another file.
        """
        deadline_s = time.monotonic() + timeout_s
        self._waiter.join(timeout_s)
        self._stderr.join(max(0.0, deadline_s - time.monotonic()))
        if closes_stdin:
            self.stdin.close()
        if closes_stdout:
            self.stdout.close()

    def _wait(self) -> None:
        if hasattr(os, "waitid"):
            # The process is not reaped yet, so its group id cannot be reused. Kill whatever it left behind, so that its
            # pipes reach EOF.
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        else:
            self._popen.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        self._gone.set()
        self._on_exit()

    def _read_stderr(self, stream: IO[bytes]) -> None:
        blocks = StderrBlocks()
        rest = b""
        with stream:
            while True:
                if blocks.is_open and not is_readable(stream.fileno(), _BLOCK_S):
                    self._on_stderr(blocks.close())
                chunk = os.read(stream.fileno(), CHUNK_BYTES)
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > _STDERR_LINE_BYTES or not chunk:
                    lines, rest = [*lines, rest], b""
                for line in lines:
                    self._add_to(blocks, line)
                if not chunk:
                    break
        if blocks.is_open:
            self._on_stderr(blocks.close())

    def _add_to(self, blocks: StderrBlocks, line: bytes) -> None:
        for start in range(0, len(line), _STDERR_LINE_BYTES):
            text = line[start : start + _STDERR_LINE_BYTES].decode("utf-8", "replace").rstrip()
            if text:
                self._tail.append(text)
                if complete := blocks.add(text):
                    self._on_stderr(complete)


def is_readable(descriptor: int, timeout_s: float) -> bool:
    """Return whether a read would not block, after at most `timeout_s` seconds.

    select() cannot do this: it refuses descriptors of 1024 and above, which a host of many tasks has.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, timeout_s) * 1000))


def _start(role: Role, spec: ProviderSpec, cwd: Path | None, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return launcher.start(
            spec.argv,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            pass_fds=spec.inherited,
            env={**environ, ENV_PROTOCOL: str(PROTOCOL_VERSION)},
        )
    except FileNotFoundError as error:
        raise ConfigError(
            "provider.not_found",
            f'{role} provider "{spec.label}" cannot be started: {spec.argv[0]} or its interpreter does not exist',
            place=spec.place,
            hint="Check provider or provider_path; for a script, also check its first line.",
        ) from error
    except OSError as error:
        if error.errno in _EXHAUSTED:
            raise failures.no_resources(
                f'{role} provider "{spec.label}"', os.strerror(error.errno), spec.place
            ) from error
        raise ConfigError(
            "provider.not_executable",
            f'{role} provider "{spec.label}" cannot be started: {error.strerror}: {spec.argv[0]}',
            place=spec.place,
            hint="It must be an executable file; a script needs a first line, e.g. #!/usr/bin/env python3.",
        ) from error


def _enlarge(descriptor: int) -> None:
    """Enlarge a pipe from 64 KiB to 1 MiB, if the system allows it, for fewer switches between processes."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):  # over the user's pipe quota; a smaller pipe works too
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

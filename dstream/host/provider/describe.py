"""A provider asked what it is, outside of a run: its hello and, where it can, its description. It gets no config."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from dstream.errors import ConfigError
from dstream.host.provider import failures
from dstream.host.provider.memory import patience_s
from dstream.host.provider.process import ProviderProcess
from dstream.host.provider.spec import HELLO_TIMEOUT_S, ProviderSpec
from dstream.protocol import DEFAULT_MAX_LINE, MAX_CONTROL_LINE
from dstream.protocol.handshake import Greeted, Handshake, speaks_this_version
from dstream.protocol.messages import BadLine, Command, Description, Hello, Role, decode_control, encode

_EXIT_GRACE_S = 2.0
_LAST_EXIT_S = 1.0
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a provider said of itself."""

    hello: Hello | None
    """None: it lives and says nothing, or speaks the original protocol ("legacy")."""
    description: Description | None = None
    """None when it can't be described: it has no capability `describe`, or did not answer."""


def introduce(
    spec: ProviderSpec, role: Role | None, *, cwd: Path | None, timeout_s: float, describe: bool
) -> Introduction:
    """Start the provider, hear its hello, ask for its description if it can give one, end it.

    `role`: the one it is used in, None for any. Raises ConfigError with the block's place. A legacy provider is ended
    unwritten: the original .NET host runs on a command that it does not know.
    """
    process = ProviderProcess(
        role or "input", spec, cwd=cwd, environ=os.environ, on_stderr=lambda _: None, on_exit=lambda: None
    )
    lines = _Lines(process.stdout.fileno())
    try:
        first = lines.next(time.monotonic() + patience_s(spec.argv, min(timeout_s, HELLO_TIMEOUT_S)), MAX_CONTROL_LINE)
        has_ended = first is None and process.wait(_LAST_EXIT_S)
        hello = _hello(spec, role, first) if first else None
        description = None
        if describe and hello and "describe" in hello.capabilities:
            description = _description(process, lines, time.monotonic() + timeout_s)
    finally:
        process.end(signal.SIGTERM)
        if not process.wait(_EXIT_GRACE_S):
            process.end(signal.SIGKILL)
            process.wait(_EXIT_GRACE_S)
        process.join()
    if has_ended:
        raise ConfigError(
            "provider.no_hello",
            f'{role or ""} provider "{spec.label}" ended without a word'.lstrip(),
            place=spec.place,
            hint="A provider's first line is its hello; see docs/protocol.md.",
            details=process.last_stderr_lines(),
        )
    return Introduction(hello, description)


def _hello(spec: ProviderSpec, role: Role | None, line: bytes) -> Hello | None:
    try:
        step = Handshake().heard(line)
    except BadLine:
        raise failures.no_hello(role or "input", spec, line) from None
    if not isinstance(step, Greeted):
        return None
    if not speaks_this_version(step.hello):
        raise failures.wrong_protocol(role or step.hello.role, spec, step.hello)
    if role is not None and step.hello.role != role:
        raise failures.wrong_role(role, spec, step.hello)
    return step.hello


def _description(process: ProviderProcess, lines: _Lines, deadline_s: float) -> Description | None:
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(encode(Command("describe")))
    while line := lines.next(deadline_s, DEFAULT_MAX_LINE):
        with contextlib.suppress(BadLine):
            message = decode_control(line)
            if isinstance(message, Description):
                return message
    return None


class _Lines:
    """Lines of a descriptor, each waited for up to a deadline of its own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""

    def next(self, deadline_s: float, limit: int) -> bytes | None:
        """Without its newline; what came so far when the time ran out or it is too long; None at the end."""
        while b"\n" not in self._rest and len(self._rest) <= limit:
            left_s = max(0.0, deadline_s - time.monotonic())
            if not select.select([self._descriptor], [], [], left_s)[0]:
                break
            chunk = os.read(self._descriptor, _CHUNK)
            if not chunk:
                rest, self._rest = self._rest, b""
                return rest or None
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line

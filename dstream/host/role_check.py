"""What a provider says it is, asked without asking it for anything else: `validate` needs no more than the hello."""

from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path

from dstream.errors import ConfigError
from dstream.host import failures
from dstream.host.job import HELLO_TIMEOUT_S, ProviderSpec
from dstream.host.process import ProviderProcess
from dstream.protocol import MAX_CONTROL_LINE
from dstream.protocol.handshake import Greeted, Handshake, speaks_this_version
from dstream.protocol.messages import BadLine, Role

_EXIT_GRACE_S = 2.0
_LAST_EXIT_S = 1.0


def check_role(spec: ProviderSpec, role: Role, *, cwd: Path | None, timeout_s: float) -> None:
    """Start the provider, hear its hello, end it unwritten. Raises ConfigError with the block's place.

    One that lives and says no hello may be a provider of the original protocol: those say nothing before line 1, so
    their role can't be known, and nothing is said against them.
    """
    process = ProviderProcess(role, spec, cwd=cwd, environ=os.environ, on_stderr=lambda _: None, on_exit=lambda: None)
    try:
        line = _first_line(process.stdout.fileno(), time.monotonic() + min(timeout_s, HELLO_TIMEOUT_S))
        has_ended = line is None and process.wait(_LAST_EXIT_S)
    finally:
        process.end(signal.SIGTERM)
        if not process.wait(_EXIT_GRACE_S):
            process.end(signal.SIGKILL)
            process.wait(_EXIT_GRACE_S)
        process.join()
    if line:
        _check_line(spec, role, line)
    elif has_ended:
        raise ConfigError(
            "provider.no_hello",
            f'{role} provider "{spec.label}" ended without a word',
            place=spec.place,
            hint="A provider's first line is its hello; see docs/protocol.md.",
            details=process.last_stderr_lines(),
        )


def _check_line(spec: ProviderSpec, role: Role, line: bytes) -> None:
    try:
        step = Handshake().heard(line)
    except BadLine:
        raise failures.no_hello(role, spec, line) from None
    if not isinstance(step, Greeted):
        return
    if not speaks_this_version(step.hello):
        raise failures.wrong_protocol(role, spec, step.hello)
    if step.hello.role != role:
        raise failures.wrong_role(role, spec, step.hello)


def _first_line(descriptor: int, deadline_s: float) -> bytes | None:
    """Without its newline; what came so far when the time ran out, None when the provider closed it unwritten."""
    received = b""
    while b"\n" not in received and len(received) <= MAX_CONTROL_LINE:
        left_s = max(0.0, deadline_s - time.monotonic())
        if not select.select([descriptor], [], [], left_s)[0]:
            break
        chunk = os.read(descriptor, MAX_CONTROL_LINE)
        if not chunk:
            return received or None
        received += chunk
    return received.partition(b"\n")[0]

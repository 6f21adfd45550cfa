"""What a provider says it is, asked without asking it for anything else: `validate` needs no more than the hello."""

from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path

from dstream.errors import ConfigError
from dstream.host import failures
from dstream.host.job import ProviderSpec
from dstream.host.process import ProviderProcess
from dstream.protocol import MAX_CONTROL_LINE
from dstream.protocol.handshake import Greeted, Handshake, speaks_this_version
from dstream.protocol.messages import BadLine, Role

_EXIT_GRACE_S = 2.0


def check_role(spec: ProviderSpec, role: Role, *, cwd: Path | None, timeout_s: float) -> None:
    """Start the provider, hear its hello, end it unwritten. Raises ConfigError with the block's place."""
    process = ProviderProcess(role, spec, cwd=cwd, environ=os.environ, on_stderr=lambda _: None, on_exit=lambda: None)
    try:
        line = _first_line(process.stdout.fileno(), time.monotonic() + timeout_s)
    finally:
        process.end(signal.SIGTERM)
        if not process.wait(_EXIT_GRACE_S):
            process.end(signal.SIGKILL)
            process.wait(_EXIT_GRACE_S)
        process.join()
    if not line:
        raise ConfigError(
            "provider.no_hello",
            f'{role} provider "{spec.label}" said nothing within {timeout_s:g} s',
            place=spec.place,
            hint="A provider's first line is its hello; see docs/protocol.md.",
            details=process.last_stderr_lines(),
        )
    try:
        step = Handshake().heard(line)
    except BadLine:
        step = None
    if not isinstance(step, Greeted):
        raise failures.no_hello(role, spec, line)
    if not speaks_this_version(step.hello):
        raise failures.wrong_protocol(role, spec, step.hello)
    if step.hello.role != role:
        raise failures.wrong_role(role, spec, step.hello)


def _first_line(descriptor: int, deadline_s: float) -> bytes:
    """Without its newline; what came so far when the time ran out or the provider ended."""
    received = b""
    while b"\n" not in received and len(received) <= MAX_CONTROL_LINE:
        left_s = max(0.0, deadline_s - time.monotonic())
        if not select.select([descriptor], [], [], left_s)[0]:
            break
        chunk = os.read(descriptor, MAX_CONTROL_LINE)
        if not chunk:
            break
        received += chunk
    return received.partition(b"\n")[0]

"""Asks a provider for its hello and, if supported, its description, outside a run. The provider gets no config."""

from __future__ import annotations

import contextlib
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from dstream.errors import ConfigError
from dstream.host.provider import failures
from dstream.host.provider.link import LineLink, shut_down
from dstream.host.provider.spec import HELLO_TIMEOUT_S, ProviderSpec
from dstream.protocol.framing import LineTooLong
from dstream.protocol.messages import BadLine, Command, Description, Hello, Role, decode_control, encode

_EXIT_GRACE_S = 2.0
_LAST_EXIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Introduction:
    """A provider's hello and description."""

    hello: Hello | None
    """None: it runs without sending hello, so it is a legacy provider."""
    description: Description | None = None
    """None: it lacks the capability `describe`, or did not answer."""


def introduce(
    spec: ProviderSpec, role: Role | None, *, cwd: Path | None, timeout_s: float, describe: bool
) -> Introduction:
    """Start the provider, read its hello, ask for its description if `describe` and supported, and end it.

    `role`: the required role; None accepts any. Raises ConfigError with the block's place. Nothing is written to a
    legacy provider, because the original .NET host starts streaming on an unknown command.
    """
    link = LineLink(role or "input", spec, cwd=cwd)

    def hear(line: bytes) -> None:
        try:
            link.handshake.heard(line)
        except BadLine:
            raise failures.no_hello(link.role, spec, line) from None

    description = None
    is_gone = False
    try:
        patience_s = link.hello_patience_s(min(timeout_s, HELLO_TIMEOUT_S))
        at_eof = not link.greet(hear, timeout_s=timeout_s, legacy_after_s=patience_s)
        is_gone = at_eof and link.handshake.first_prose is None and link.process.wait(_LAST_EXIT_S)
        hello = link.handshake.hello
        if hello:
            link.check_hello(hello, role)
        if describe and "describe" in link.capabilities:
            description = _description(link, timeout_s)
    except LineTooLong:
        hello = link.handshake.hello
    finally:
        shut_down([link], signal.SIGTERM, _EXIT_GRACE_S)
    if is_gone:
        raise ConfigError(
            "provider.no_hello",
            f'{role or ""} provider "{spec.label}" exited without writing a line'.lstrip(),
            place=spec.place,
            hint="A provider's first line is its hello; see docs/reference/protocol.md.",
            details=link.process.last_stderr_lines(),
        )
    return Introduction(hello, description)


def _description(link: LineLink, timeout_s: float) -> Description | None:
    link.writer.send(encode(Command("describe")))
    deadline_s = time.monotonic() + timeout_s
    while line := link.next_line(deadline_s - time.monotonic()):
        with contextlib.suppress(BadLine):
            message = decode_control(line)
            if isinstance(message, Description):
                return message
    return None

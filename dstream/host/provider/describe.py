"""Asks a provider about itself, a config or its source, outside a run: for its hello and description, without a config;
for what it thinks of configs (`check`); for its findings about the source or destination (`doctor`)."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from dstream.errors import ConfigError
from dstream.host.provider import failures
from dstream.host.provider.link import TICK_S, LineLink, shut_down
from dstream.host.provider.spec import HELLO_TIMEOUT_S, ProviderSpec
from dstream.protocol.config_schema import check_shape
from dstream.protocol.framing import LineTooLong
from dstream.protocol.messages import (
    BadLine,
    CheckCommand,
    Checked,
    CheckedConfig,
    Command,
    Description,
    Finding,
    Findings,
    Hello,
    Role,
    decode_control,
    encode,
)

AnswerT = TypeVar("AnswerT", Description, Checked, Findings)

_EXIT_GRACE_S = 0.5
"""Short, because a provider without a config has nothing to finish."""
_LAST_EXIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Introduction:
    """A provider's hello and description."""

    hello: Hello | None
    """None: it runs without sending hello, so it is a legacy provider."""
    description: Description | None = None
    """None: it lacks the capability `describe`, or did not answer."""


def introduce(
    spec: ProviderSpec,
    role: Role | None,
    *,
    cwd: Path | None,
    timeout_s: float,
    describe: bool,
    check_stop: Callable[[], None] = lambda: None,
) -> Introduction:
    """Start the provider, read its hello, ask for its description if `describe` and supported, and end it.

    `role`: the required role; None accepts any. `timeout_s` limits each wait. `check_stop` is called while waiting; it
    may raise. Nothing is written to a legacy provider, because the original .NET host starts streaming on an unknown
    command. Raises ConfigError, at the block's place, if the provider cannot be started or used.
    """
    interview = _Interview(spec, role, cwd, timeout_s, check_stop)
    try:
        return interview.introduction(describe=describe)
    finally:
        interview.end()


def check_configs(
    spec: ProviderSpec, role: Role, configs: Sequence[dict[str, Any]], *, cwd: Path | None, timeout_s: float
) -> Sequence[CheckedConfig]:
    """Start the provider and let it check configs, without connecting to anything. Return one result per config; none
    if it lacks the capability `check` or does not answer. Raises ConfigError as `introduce`.
    """
    interview = _Interview(spec, role, cwd, timeout_s, lambda: None)
    try:
        hello = interview.introduction(describe=False).hello
        if hello is None or "check" not in hello.capabilities:
            return ()
        answer = interview.answer(CheckCommand(configs=list(configs)), Checked)
        return answer.configs if answer else ()
    finally:
        interview.end()


def examine(
    spec: ProviderSpec,
    role: Role,
    command: Command,
    *,
    cwd: Path | None,
    timeout_s: float,
    check_stop: Callable[[], None] = lambda: None,
) -> Sequence[Finding]:
    """Start the provider and let it connect and check its source or destination. `command`: `doctor`, with the config
    and an input's state. Raises ConfigError as `introduce`.
    """
    interview = _Interview(spec, role, cwd, timeout_s, check_stop)
    try:
        hello = interview.introduction(describe=False).hello
        if hello is None or "doctor" not in hello.capabilities:
            return ()
        answer = interview.answer(command, Findings)
        return answer.findings if answer else [interview.silence()]
    finally:
        interview.end()


class _Interview:
    """A provider that was started only to answer one question."""

    def __init__(
        self,
        spec: ProviderSpec,
        role: Role | None,
        cwd: Path | None,
        timeout_s: float,
        check_stop: Callable[[], None],
    ) -> None:
        self._spec = spec
        self._role = role
        self._timeout_s = timeout_s
        self._check_stop = check_stop
        self._link = LineLink(role or "input", spec, cwd=cwd)

    def end(self) -> None:
        shut_down([self._link], signal.SIGTERM, _EXIT_GRACE_S)

    def introduction(self, *, describe: bool) -> Introduction:
        """Read the hello; ask for the description if `describe` and supported."""
        link = self._link
        try:
            patience_s = link.hello_patience_s(min(self._timeout_s, HELLO_TIMEOUT_S))
            at_eof = not link.greet(
                self._hear, timeout_s=self._timeout_s, legacy_after_s=patience_s, check_stop=self._check_stop
            )
            if at_eof and link.handshake.first_prose is None and link.process.wait(_LAST_EXIT_S):
                raise self._no_hello()
            hello = link.handshake.hello
            if hello:
                link.check_hello(hello, self._role)
            if describe and "describe" in link.capabilities:
                description = self.answer(Command("describe"), Description)
                return Introduction(hello, self._checked(description) if description else None)
        except LineTooLong:
            pass
        return Introduction(link.handshake.hello)

    def _hear(self, line: bytes) -> None:
        try:
            self._link.handshake.heard(line)
        except BadLine:
            raise failures.no_hello(self._link.role, self._spec, line) from None

    def _no_hello(self) -> ConfigError:
        return ConfigError(
            "provider.no_hello",
            f'{self._role or ""} provider "{self._spec.label}" exited without writing a line'.lstrip(),
            place=self._spec.place,
            hint="A provider's first line is its hello; see docs/reference/protocol.md.",
            details=self._link.process.last_stderr_lines(),
        )

    def answer(self, command: msgspec.Struct, kind: type[AnswerT]) -> AnswerT | None:
        """Send line 1 and return the answer of this kind; None if there is none in time."""
        self._link.writer.send(encode(command))
        deadline_s = time.monotonic() + self._timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            self._check_stop()
            line = self._link.next_line(min(TICK_S, left_s))
            if line is None:
                return None
            with contextlib.suppress(BadLine):
                message = decode_control(line)
                if isinstance(message, kind):
                    return message
        return None

    def silence(self) -> Finding:
        """The finding for a provider that did not answer."""
        if self._link.process.wait(_LAST_EXIT_S):
            return Finding("failure", self._spec.label, "\n".join(["exited", *self._link.process.last_stderr_lines()]))
        return Finding("failure", self._spec.label, f"no answer within {self._timeout_s:g} s")

    def _checked(self, description: Description) -> Description:
        try:
            check_shape(description.config_schema)
        except BadLine as error:
            raise failures.bad_schema(self._link.role, self._spec, error) from error
        return description

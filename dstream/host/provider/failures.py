"""The errors of a provider: what happened, to which provider, and how to fix it."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from dstream.errors import ConfigError, DataError, DStreamError, SourceLocation, SystemFault, TransientError, of_kind
from dstream.host.provider.spec import ProviderSpec
from dstream.protocol import PROTOCOL_VERSION
from dstream.protocol.framing import LineTooLong
from dstream.protocol.messages import BadLine, Error, ErrorBody, Hello, Role

_WHAT_IT_DOES: dict[Role, str] = {
    "input": "It reads data; it neither writes it nor manages infrastructure.",
    "transform": "It changes rows between an input and an output.",
    "output": "It writes data; it does not read it.",
}
_WITH_ARTICLE: dict[Role, str] = {"input": "an input", "transform": "a transform", "output": "an output"}
_LONGEST_QUOTE = 200
_CRASHES = frozenset({signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV})
"""Signals that a program causes itself; all others come from outside."""


def wrong_role(role: Role, spec: ProviderSpec, hello: Hello) -> ConfigError:
    """An input provider in the output block, or the reverse."""
    name, is_a = hello.name or spec.label, hello.role
    swapped = "" if "transform" in (role, is_a) else " Did you swap input and output?"
    return ConfigError(
        "provider.wrong_role",
        f'"{name}" is {_WITH_ARTICLE[is_a]} provider and cannot be used as {_WITH_ARTICLE[role]}',
        place=spec.place,
        hint=f"{_WHAT_IT_DOES[is_a]}{swapped}",
    )


def legacy_input_as_output(spec: ProviderSpec) -> ConfigError:
    """A legacy provider in the output block that writes rows."""
    return ConfigError(
        "provider.wrong_role",
        f'"{spec.label}" writes rows: it is an input provider and cannot be used as an output',
        place=spec.place,
        hint=f"{_WHAT_IT_DOES['input']} Did you swap input and output?",
    )


def input_has_no_lifecycle(spec: ProviderSpec, name: str) -> ConfigError:
    """An input provider in the output block of a lifecycle command."""
    return ConfigError(
        "provider.no_lifecycle",
        f'"{name or spec.label}" is an input provider and doesn\'t support lifecycle commands',
        place=spec.place,
        hint=f"{_WHAT_IT_DOES['input']} Did you swap input and output?",
    )


def ended_without_result(spec: ProviderSpec, exit_code: int | None, command: str, stderr: Sequence[str]) -> SystemFault:
    """The provider of a lifecycle command exited without reporting a result."""
    return SystemFault(
        "provider.no_result",
        f'output provider "{spec.label}" {ending(exit_code)} without a result for {command}',
        place=spec.place,
        hint="The command may be partly done; `dstream status` shows what exists.",
        details=stderr,
    )


def late_hello(role: Role, spec: ProviderSpec) -> SystemFault:
    return SystemFault(
        "provider.late_hello",
        f'{role} provider "{spec.label}" sent hello only after it had received rows as a legacy provider',
        place=spec.place,
        hint="Those rows may be lost. Fix the provider: it must write hello first, before anything slow. "
        "Then run again from a position before those rows.",
    )


def wrong_protocol(role: Role, spec: ProviderSpec, hello: Hello) -> ConfigError:
    newer = "DStream" if hello.protocol > PROTOCOL_VERSION else "the provider"
    return ConfigError(
        "provider.wrong_protocol",
        f'{role} provider "{hello.name or spec.label}" speaks protocol {hello.protocol}; this DStream speaks '
        f"{PROTOCOL_VERSION}",
        place=spec.place,
        hint=f"Upgrade {newer}.",
    )


def no_once(spec: ProviderSpec, name: str) -> ConfigError:
    return ConfigError(
        "provider.no_once",
        f'input provider "{name}" does not support --once: its source has no end',
        place=spec.place,
        hint="Run without --once and end the run with Ctrl-C, --duration or --max-rows.",
    )


def no_passage(spec: ProviderSpec, name: str) -> ConfigError:
    return ConfigError(
        "provider.no_passage",
        f'"{name}" cannot be used as a transform: it does not pass checkpoints on',
        place=spec.place,
        hint="A transform sends a hello with the role transform and the capability checkpoint; see "
        "docs/reference/protocol.md.",
    )


def no_transforms(name: str, place: SourceLocation | None) -> ConfigError:
    """`place`: the first transform."""
    return ConfigError(
        "provider.no_transforms",
        f'output provider "{name}" does not support transforms',
        place=place,
        hint="Use an output that is built with the SDK of this DStream, or remove the transforms.",
    )


def no_hello(role: Role, spec: ProviderSpec, first_line: bytes) -> ConfigError:
    return ConfigError(
        "provider.no_hello",
        f'{role} provider "{spec.label}" does not speak protocol {PROTOCOL_VERSION}: its first line is not a hello',
        place=spec.place,
        hint="Use stdout for the protocol only; write log messages to stderr.",
        details=[f"it wrote: {_quote(first_line)}"],
    )


def bad_schema(role: Role, spec: ProviderSpec, error: BadLine) -> ConfigError:
    return ConfigError(
        "provider.bad_schema",
        f'{role} provider "{spec.label}" describes its settings with an invalid schema: {error}',
        place=spec.place,
        hint="Report this to the provider's author; see docs/reference/protocol.md.",
    )


def not_ready(role: Role, spec: ProviderSpec, waited_for: str, timeout_s: float, stderr: Sequence[str]) -> SystemFault:
    return SystemFault(
        "provider.not_ready",
        f'{role} provider "{spec.label}" was not ready: no {waited_for} within {timeout_s:g} s',
        place=spec.place,
        hint="If it needs more time to start, raise start_timeout in the task.",
        details=stderr,
    )


def no_resources(what: str, reason: str, place: SourceLocation | None = None) -> SystemFault:
    """A limit of the machine or the user keeps `what` from starting."""
    return SystemFault(
        "provider.no_resources",
        f"{what} cannot be started: {reason}",
        place=place,
        hint="Raise the limits of this user (ulimit -Hn for open files, ulimit -u for processes and threads), or run "
        "fewer tasks in one process.",
    )


def out_of_threads(task: str) -> SystemFault:
    return no_resources(f'task "{task}"', "too many threads")


def died(
    role: Role, spec: ProviderSpec, exit_code: int | None, *, was_ready: bool, stderr: Sequence[str]
) -> DStreamError:
    """The process exited or closed its pipes before its work was done."""
    when = "while the stream was running" if was_ready else "before it was ready"
    message = f'{role} provider "{spec.label}" {ending(exit_code)} {when}'
    hint = "" if stderr else "It wrote nothing to stderr."
    if exit_code is None or exit_code >= 0 or (was_ready and -exit_code in _CRASHES):
        return SystemFault("provider.died", message, place=spec.place, hint=hint, details=stderr)
    # Killed from outside, e.g. because of low memory. Unlike a regular exit, this may not happen again on a retry.
    error = TransientError("provider.died", message, hint=hint)
    error.place, error.details = spec.place, tuple(stderr)
    return error


def end_missing(role: Role, spec: ProviderSpec, exit_code: int | None, stderr: Sequence[str]) -> SystemFault:
    return SystemFault(
        "protocol.end_missing",
        f'{role} provider "{spec.label}" {ending(exit_code)} without an end line',
        place=spec.place,
        hint="Rows may be missing after its last checkpoint. The next run resumes from the last stored checkpoint.",
        details=stderr,
    )


def secret_in_state(spec: ProviderSpec) -> SystemFault:
    return SystemFault(
        "state.secret",
        f'input provider "{spec.label}" put a secret into its state; the state was not stored',
        place=spec.place,
        hint="Report this to the provider's author: a state must contain only a position, never credentials.",
    )


def silent(role: Role, spec: ProviderSpec, silent_s: float) -> SystemFault:
    return SystemFault(
        "provider.silent",
        f'{role} provider "{spec.label}" has been silent for {silent_s:.0f} s',
        place=spec.place,
        hint="It hangs, or something blocks its heartbeat, which it must send every 10 s.",
    )


def bad_line(role: Role, spec: ProviderSpec, error: BadLine) -> SystemFault:
    return SystemFault(
        "protocol.bad_line",
        f'{role} provider "{spec.label}" broke the protocol: {error}',
        place=spec.place,
        hint="Report this to the provider's author; docs/reference/protocol.md specifies each line.",
    )


def line_too_long(role: Role, spec: ProviderSpec, task: str, error: LineTooLong) -> DataError:
    fix = "Raise max_line in the task, or exclude the large column." if error.what == "data" else ""
    return DataError(
        "provider.line_too_long",
        f'{role} provider "{spec.label}" of task "{task}" wrote {error} bytes',
        place=spec.place,
        hint=fix or "Report this to the provider's author: the protocol limits control lines.",
    )


def by_provider(spec: ProviderSpec, body: Error | ErrorBody, *, rows_from: ProviderSpec | None = None) -> DStreamError:
    """An error that the provider reported: code, kind, message and hint unchanged; a config path becomes a place.

    `rows_from`: the input, where an error about a row rather than a setting is placed.
    """
    error = of_kind(body.kind, body.code, body.message, hint=body.hint, config_path=body.config_path)
    if body.config_path:
        error.place = spec.place_of(body.config_path) or spec.place
    else:
        error.place = rows_from.place if rows_from and body.kind == "data" else spec.place
    if isinstance(error, TransientError):
        error.retry_after_s = body.retry_after_ms / 1000
    return error


def ending(exit_code: int | None) -> str:
    """Return how a process ended, as the end of a sentence about it. `exit_code` None: only its pipes are closed."""
    if exit_code is None:
        return "closed its pipes"
    if exit_code < 0:
        try:
            return f"was killed by {signal.Signals(-exit_code).name}"
        except ValueError:
            return f"was killed by signal {-exit_code}"
    return f"exited with code {exit_code}"


def _quote(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "..."

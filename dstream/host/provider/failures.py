"""The errors of a run, worded once: what happened, to which provider, and what to do about it."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from dstream.errors import ConfigError, DataError, DStreamError, SystemFault, TransientError, of_kind
from dstream.host.provider.spec import ProviderSpec
from dstream.protocol import PROTOCOL_VERSION
from dstream.protocol.framing import LineTooLong
from dstream.protocol.messages import BadLine, Error, ErrorBody, Hello, Role

_WHAT_IT_DOES: dict[Role, str] = {
    "input": "It reads data; it neither writes it nor manages infrastructure.",
    "output": "It writes data; it does not read it.",
}
_LONGEST_QUOTE = 200


def wrong_role(role: Role, spec: ProviderSpec, hello: Hello) -> ConfigError:
    """An input provider in the output block, or the reverse."""
    name, is_a = hello.name or spec.label, hello.role
    return ConfigError(
        "provider.wrong_role",
        f'"{name}" is an {is_a} provider and can\'t be used as an {role}',
        place=spec.place,
        hint=f"{_WHAT_IT_DOES[is_a]} Did you swap input and output?",
    )


def legacy_input_as_output(spec: ProviderSpec) -> ConfigError:
    """A provider without hello shows its role by what it writes."""
    return ConfigError(
        "provider.wrong_role",
        f'"{spec.label}" writes rows: it is an input provider and can\'t be used as an output',
        place=spec.place,
        hint=f"{_WHAT_IT_DOES['input']} Did you swap input and output?",
    )


def input_has_no_lifecycle(spec: ProviderSpec, name: str) -> ConfigError:
    """An input provider in the output block, asked to init, plan, show or destroy."""
    return ConfigError(
        "provider.no_lifecycle",
        f'"{name or spec.label}" is an input provider and doesn\'t support lifecycle commands',
        place=spec.place,
        hint=f"{_WHAT_IT_DOES['input']} Did you swap input and output?",
    )


def ended_without_result(spec: ProviderSpec, exit_code: int | None, command: str, stderr: Sequence[str]) -> SystemFault:
    """A lifecycle command whose provider is gone without having said how it went."""
    return SystemFault(
        "provider.no_result",
        f'output provider "{spec.label}" {_ending(exit_code)} without a result of {command}',
        place=spec.place,
        hint="What it was at may be done in part: `dstream status` shows what is there.",
        details=stderr,
    )


def late_hello(role: Role, spec: ProviderSpec) -> SystemFault:
    return SystemFault(
        "provider.late_hello",
        f'{role} provider "{spec.label}" said hello only after it had been given rows as a legacy provider',
        place=spec.place,
        hint="Those rows may be lost. Its hello must be its first line, before anything slow; "
        "then run again, from a position before them.",
    )


def wrong_protocol(role: Role, spec: ProviderSpec, hello: Hello) -> ConfigError:
    newer = "dstream" if hello.protocol > PROTOCOL_VERSION else "the provider"
    return ConfigError(
        "provider.wrong_protocol",
        f'{role} provider "{hello.name or spec.label}" speaks protocol {hello.protocol}; this dstream speaks '
        f"{PROTOCOL_VERSION}",
        place=spec.place,
        hint=f"Upgrade {newer}.",
    )


def no_once(spec: ProviderSpec, name: str) -> ConfigError:
    return ConfigError(
        "provider.no_once",
        f'input provider "{name}" can\'t run with --once: it has no end to read up to',
        place=spec.place,
        hint="Run without --once and end the run by Ctrl-C, --duration or --max-rows.",
    )


def no_hello(role: Role, spec: ProviderSpec, first_line: bytes) -> ConfigError:
    return ConfigError(
        "provider.no_hello",
        f'{role} provider "{spec.label}" does not speak protocol {PROTOCOL_VERSION}: its first line is no hello',
        place=spec.place,
        hint="Its stdout is for the protocol only; what it has to say to people belongs on stderr.",
        details=[f"it wrote: {_quote(first_line)}"],
    )


def not_ready(role: Role, spec: ProviderSpec, waited_for: str, timeout_s: float, stderr: Sequence[str]) -> SystemFault:
    return SystemFault(
        "provider.not_ready",
        f'{role} provider "{spec.label}" was not ready: no {waited_for} within {timeout_s:g} s',
        place=spec.place,
        hint="If it needs longer to start, set start_timeout in the task.",
        details=stderr,
    )


def died(
    role: Role, spec: ProviderSpec, exit_code: int | None, *, was_ready: bool, stderr: Sequence[str]
) -> DStreamError:
    """The process ended, or closed its pipes, when it should not have."""
    when = "while the stream was running" if was_ready else "before it was ready"
    message = f'{role} provider "{spec.label}" {_ending(exit_code)} {when}'
    hint = "" if stderr else "It wrote nothing to stderr."
    if exit_code is None or exit_code >= 0:
        return SystemFault("provider.died", message, place=spec.place, hint=hint, details=stderr)
    # Killed from outside, for want of memory perhaps: unlike an exit of its own, that tells nothing about the next try.
    error = TransientError("provider.died", message, hint=hint)
    error.place, error.details = spec.place, tuple(stderr)
    return error


def end_missing(spec: ProviderSpec, exit_code: int | None, stderr: Sequence[str]) -> SystemFault:
    return SystemFault(
        "protocol.end_missing",
        f'input provider "{spec.label}" {_ending(exit_code)} without an end line',
        place=spec.place,
        hint="Rows may be missing behind its last checkpoint. The next run reads from the last one stored.",
        details=stderr,
    )


def secret_in_state(spec: ProviderSpec) -> SystemFault:
    return SystemFault(
        "state.secret",
        f'input provider "{spec.label}" put a secret into its state; it is not stored',
        place=spec.place,
        hint="Report this to the provider's author: a state holds a position, not what it takes to get there.",
    )


def silent(role: Role, spec: ProviderSpec, silent_s: float) -> SystemFault:
    return SystemFault(
        "provider.silent",
        f'{role} provider "{spec.label}" has been silent for {silent_s:.0f} s',
        place=spec.place,
        hint="A living provider sends a heartbeat every 10 s. It hangs, or its heartbeat waits for something.",
    )


def bad_line(role: Role, spec: ProviderSpec, error: BadLine) -> SystemFault:
    return SystemFault(
        "protocol.bad_line",
        f'{role} provider "{spec.label}" broke the protocol: {error}',
        place=spec.place,
        hint="Report this to the provider's author; docs/protocol.md says what each line must be.",
    )


def line_too_long(role: Role, spec: ProviderSpec, task: str, error: LineTooLong) -> DataError:
    fix = "Raise max_line in the task, or leave the large column out." if error.what == "data" else ""
    return DataError(
        "provider.line_too_long",
        f'{role} provider "{spec.label}" of task "{task}" wrote {error} bytes',
        place=spec.place,
        hint=fix or "Report this to the provider's author: control lines are limited by the protocol.",
    )


def by_provider(spec: ProviderSpec, body: Error | ErrorBody) -> DStreamError:
    """A provider's own error: code, kind, message and hint as it sent them; a config path becomes a place."""
    error = of_kind(body.kind, body.code, body.message, hint=body.hint, config_path=body.config_path)
    error.place = (spec.place_of(body.config_path) if body.config_path else None) or spec.place
    if isinstance(error, TransientError):
        error.retry_after_s = body.retry_after_ms / 1000
    return error


def _ending(exit_code: int | None) -> str:
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
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + ".."

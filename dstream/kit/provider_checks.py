"""Checks for all roles: from the first line to ready, heartbeats, exits, and what a provider must never write."""

from __future__ import annotations

from dstream.kit.lifecycle_checks import run_with_secrets
from dstream.kit.subject import NotObservable, Subject, Violation, changed_names, invalid_config, object_schema
from dstream.protocol import CONTROL_PREFIX, PROTOCOL_VERSION
from dstream.protocol.config_schema import check_shape
from dstream.protocol.messages import BadLine, Error, ErrorBody, Heartbeat, Log, Metric

KINDS = ("config", "auth", "unreachable", "locked", "refused", "transient", "data", "system")

_LINE_1_PADDING = 256 * 1024
_UNKNOWN_KIND = b'{"dstream":"of_a_later_version","seq":1}\n'


def sends_hello_first(subject: Subject) -> None:
    """Its first line is a hello of protocol 1, within 5 s, with the role under test."""
    with subject.greeted() as dialogue:
        line = dialogue.record.first_line or b""
        hello = dialogue.record.hello
        if not line.startswith(CONTROL_PREFIX) or hello is None:
            raise Violation(f"its first line is not a hello: {line[:100].decode('utf-8', 'replace')}")
        if hello.protocol != PROTOCOL_VERSION:
            raise Violation(f"its hello is for protocol {hello.protocol}, not {PROTOCOL_VERSION}")
        if not hello.name:
            raise Violation("its hello has no name")
        if subject.role is not None and hello.role != subject.role:
            raise Violation(f"its role is {hello.role}, not {subject.role}")
        if subject.lifecycle and "infrastructure" not in hello.capabilities:
            raise Violation("it has no capability infrastructure, so there are no lifecycle commands to test")
        subject.hello = hello


def waits_for_line_1(subject: Subject) -> None:
    """After its hello, it is silent until line 1, and exits if stdin ends before line 1."""
    with subject.greeted() as dialogue:
        dialogue.wait_for(lambda record: record.status or record.error or record.faults, subject.limits.watch_s)
        if dialogue.record.status is not None:
            raise Violation(f'it sent "{dialogue.record.status.status}" before it received line 1')
        spoken = [each.message for each in dialogue.record.said]
        if early := [each for each in spoken if not isinstance(each, (Heartbeat, Log, Metric))]:
            raise Violation(f"it sent {type(early[0]).__name__.lower()} before it received line 1")
        dialogue.close_stdin()
        if not dialogue.exits(subject.limits.exit_s):  # an interpreter may still be importing
            raise Violation(f"it is still running {subject.limits.exit_s:g} s after its stdin ended")


def describes_its_config(subject: Subject) -> None:
    """It answers `describe` with a JSON Schema of its config, and exits with 0."""
    if "describe" not in subject.capabilities:
        raise NotObservable("it has no capability describe")
    try:
        check_shape(subject.description.config_schema)
    except BadLine as error:
        raise Violation(f"the config_schema in its description is not a JSON Schema: {error}") from error
    if object_schema(subject.description.config_schema).get("type") != "object":
        raise Violation("the config_schema in its description is not the schema of an object")
    for each in subject.description.requirements:
        if not each.name:
            raise Violation("a requirement in its description has no name")
        if not (each.ok or each.detail or each.fix):
            raise Violation(f'its requirement "{each.name}" is not ok, but has neither detail nor fix')


def becomes_ready(subject: Subject) -> None:
    """It answers line 1 with ready."""
    subject.running().finish()


def accepts_a_large_line_1(subject: Subject) -> None:
    """It accepts a line 1 of 256 KiB that has an unknown field."""
    subject.running(field_of_a_later_version="x" * _LINE_1_PADDING).finish()


def ignores_unknown_control_lines(subject: Subject) -> None:
    """It ignores a control line of an unknown kind."""
    with subject.running() as dialogue:
        dialogue.write(_UNKNOWN_KIND)
        dialogue.wait_for(lambda record: record.error, subject.limits.watch_s)
        if dialogue.record.error is not None:
            raise Violation(f"it fails: {dialogue.record.error.message}")
        if dialogue.exit_code:
            raise Violation(dialogue.ending())


def rejects_an_invalid_config(subject: Subject) -> None:
    """It answers an invalid config with an error that names the setting, not with a crash."""
    config = invalid_config(subject)
    with subject.greeted() as dialogue:
        dialogue.ask("run", config)
        dialogue.wait_for(lambda record: record.status or record.error, subject.limits.answer_s)
        status = dialogue.record.status
        if status is not None and status.status == "ready":
            if config != subject.config and "describe" in subject.capabilities:
                changed = changed_names(config, subject)
                raise Violation(f"it accepts a config that its schema rejects: {changed}")
            raise NotObservable("it accepts any config")
        error: ErrorBody | Error | None = status.error if status else dialogue.record.error
        if error is None:
            if status is not None:
                raise Violation('its answer has no "error" with code and kind')
            dialogue.exits(subject.limits.exit_s)
            raise Violation(f"it does not respond; {dialogue.ending()}")
        if error.kind != "config":
            known = "" if error.kind in KINDS else ", which is not a valid kind"
            raise Violation(f'the kind of its error is "{error.kind}"{known}; it must be "config" ({error.message})')
        if not error.code or not error.message:
            raise Violation("its error needs a code and a message")
        if not error.config_path:
            raise Violation(f"its error has no config_path, so no line can be shown ({error.message})")
        if not dialogue.exits(subject.limits.exit_s):
            raise Violation(f"it is still running {subject.limits.exit_s:g} s after its error")


def sends_heartbeats(subject: Subject) -> None:
    """With the capability heartbeat, it sends one every 10 s, even while it waits for rows or acks."""
    if "heartbeat" not in subject.capabilities:
        raise NotObservable("it has no capability heartbeat")
    with subject.running() as dialogue:
        heard = dialogue.wait_for(
            lambda record: any(isinstance(each.message, Heartbeat) for each in record.said), subject.limits.heartbeat_s
        )
        if not heard and (dialogue.record.end or dialogue.record.is_over):
            raise NotObservable("it exited before a heartbeat was due")
        if not heard:
            raise Violation(f"no heartbeat arrived within {subject.limits.heartbeat_s:g} s")


def leaves_no_process_when_killed(subject: Subject) -> None:
    """Killed by SIGKILL, it leaves no process that holds its stdout, and it starts again."""
    with subject.running() as dialogue:
        dialogue.kill()
        dialogue.exits(subject.limits.exit_s)
        if not dialogue.closes_stdout(subject.limits.orphan_s):
            raise Violation("a process that it started left its process group and still holds its stdout")
    subject.running().finish()


def exits_when_the_host_dies(subject: Subject) -> None:
    """After EOF on stdin without a stop, it exits within 2 s, with every process that it started."""
    with subject.running() as dialogue:
        dialogue.close_stdin()
        if not dialogue.exits(subject.limits.orphan_s):
            raise Violation(f"it is still running {subject.limits.orphan_s:g} s after its stdin ended without a stop")
        if not dialogue.closes_stdout(subject.limits.orphan_s):
            raise Violation("a process that it started is still running and holds its stdout")


def writes_only_messages_to_stdout(subject: Subject) -> None:
    """In all of these checks, every line on its stdout is a message or a row."""
    for dialogue in subject.dialogues:
        for fault in dialogue.record.faults:
            if fault.kind == "stray":
                raise Violation(f"{fault.reason}. Write log messages to stderr")


def writes_valid_control_lines(subject: Subject) -> None:
    """Each control line is complete, within its limit, and a valid message of its kind."""
    for dialogue in subject.dialogues:
        for fault in dialogue.record.faults:
            if fault.kind == "framing":
                raise Violation(fault.reason)


def does_not_leak_secrets(subject: Subject) -> None:
    """A secret in its config appears neither on stdout nor on stderr, whether it succeeds or fails."""
    with subject.greeted() as dialogue:
        dialogue.ask("run", subject.secret_config)
        dialogue.wait_for(lambda record: record.status or record.error, subject.limits.answer_s)
        dialogue.close_stdin()
        dialogue.exits(subject.limits.orphan_s)
    if subject.lifecycle:
        run_with_secrets(subject)
    for each in subject.dialogues:
        if each.record.revealed:
            raise Violation(f"it wrote a secret to {' and '.join(sorted(each.record.revealed))}")

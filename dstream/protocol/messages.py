"""The lines of the protocol, in both directions, as typed values.

Control lines are `Control` (a union tagged by the key `dstream`, which therefore always comes first); line 1 of the
host is `Command`; a provider's answer to it is `Status`. Unknown fields are ignored everywhere (rule 13); an unknown
control kind decodes to None.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Role = Literal["input", "transform", "output"]
CommandName = Literal["run", "describe", "check", "doctor", "dead_letters", "init", "plan", "status", "destroy"]
Operation = Literal["create", "update", "replace", "delete", "same", "refresh", "import"]
Step = Literal["planned", "started", "done", "failed"]


class RunOptions(msgspec.Struct, frozen=True):
    """Details of the run, from the host: sizes in bytes, `max_in_flight` in checkpoints."""

    task: str = ""
    id: str = ""
    once: bool = False
    from_: str | None = msgspec.field(default=None, name="from")
    max_in_flight: int = 1000
    max_in_flight_bytes: int = 64 * 1024 * 1024
    max_line: int = 16 * 1024 * 1024
    checkpoint_stored_at: str | None = None
    """When the checkpoint that the input resumes from was stored (RFC 3339); None: there is none."""
    acks: bool = True
    """Whether the host acknowledges checkpoints. Not while rows are only looked at (`--output -`)."""


class Infrastructure(msgspec.Struct, frozen=True):
    """Where the infrastructure of a task is recorded. None: the engine's default."""

    task: str = ""
    stack: str = ""
    work_dir: str = ""
    """An absolute path, used only by this task and stack."""
    backend_url: str | None = None
    secrets_provider: str | None = None
    program: str | None = None
    """The absolute path of a Python file that changes the declared resources or adds others."""


class Command(msgspec.Struct, frozen=True):
    """Line 1 from the host. `state` is the state in the input's last stored checkpoint, empty at first.

    `infrastructure` (for an output): where the infrastructure of its task is recorded.
    """

    command: str
    config: dict[str, Any] = {}
    state: dict[str, Any] = {}
    run: RunOptions = RunOptions()
    infrastructure: Infrastructure = Infrastructure()
    transforms: list[msgspec.Raw] = []
    """For an output with the capability `transform`; `decode_transforms` decodes them."""


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """A provider's answer to line 1 of `run`: ready, or an error."""

    status: str
    message: str = ""
    error: ErrorBody | None = None


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The error part of a message; `kind` as in dstream.errors.Kind."""

    code: str
    kind: str
    message: str
    hint: str = ""
    config_path: str = ""
    retry_after_ms: int = 0


class Hello(msgspec.Struct, frozen=True, tag_field="dstream", tag="hello"):
    """A provider's first line."""

    protocol: int
    role: Role
    name: str
    version: str = ""
    capabilities: list[str] = []


class Welcome(msgspec.Struct, frozen=True, tag_field="dstream", tag="welcome"):
    """To an input, after line 1: the host will send acks."""

    protocol: int


class Checkpoint(msgspec.Struct, frozen=True, tag_field="dstream", tag="checkpoint"):
    """From an input, with its state; to an output, without it. `n` counts the data lines since the last checkpoint."""

    seq: int
    n: int
    state: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Ack(msgspec.Struct, frozen=True, tag_field="dstream", tag="ack", omit_defaults=True):
    """From an output: lines up to checkpoint `seq` are durable, `n` since its last ack. To an input: it is stored."""

    seq: int
    n: int | msgspec.UnsetType = msgspec.UNSET
    rejected: int = 0


class TraceContext(msgspec.Struct, frozen=True, tag_field="dstream", tag="trace"):
    """To an output with the capability `trace`: the context of the data lines until the next such line.
    Version 00 of W3C Trace Context, 3.2."""

    traceparent: Annotated[str, msgspec.Meta(pattern="^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\\Z")]


class Stop(msgspec.Struct, frozen=True, tag_field="dstream", tag="stop"):
    """Stop cleanly, within the deadline."""

    deadline_ms: int


class SnapshotRequest(msgspec.Struct, frozen=True, tag_field="dstream", tag="snapshot"):
    """To an input with the capability `snapshot`: read all rows of these tables, and go on with the stream."""

    tables: list[str]


class End(msgspec.Struct, frozen=True, tag_field="dstream", tag="end"):
    """An input's last line; `seq` is its last checkpoint."""

    seq: int


class Heartbeat(msgspec.Struct, frozen=True, tag_field="dstream", tag="heartbeat", omit_defaults=True):
    """Shows that the provider is alive. `phase`: snapshot, stream, idle, throttled or reconnecting; `reason`: why it is
    throttled or reconnecting, for people."""

    phase: str = "stream"
    lag_ms: int | None = None
    reason: str = ""


class Log(msgspec.Struct, frozen=True, tag_field="dstream", tag="log"):
    """A structured log line; `decode_log_fields` returns its other fields."""

    level: str
    event: str


class Metric(msgspec.Struct, frozen=True, tag_field="dstream", tag="metric"):
    """A figure: counter (an increment), gauge or histogram (a value)."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    value: float
    labels: dict[str, str] = {}


class Error(msgspec.Struct, frozen=True, tag_field="dstream", tag="error", omit_defaults=True):
    """A provider's last line when it fails after `ready`; fields as in ErrorBody."""

    code: str
    kind: str
    message: str
    hint: str = ""
    config_path: str = ""
    retry_after_ms: int = 0


DisplayText = str | None | msgspec.UnsetType
"""A text for users; unset or null: the host formats the raw value."""


class Difference(msgspec.Struct, frozen=True):
    """One property of a resource: its current and planned value (for `status`: recorded and actual)."""

    path: str
    old: Any = None
    new: Any = None
    label: DisplayText = msgspec.UNSET
    """The property's display name: `max size` for `maxSizeInMegabytes`."""
    old_text: DisplayText = msgspec.UNSET
    """The display form of `old`: `1GB` for 1024."""
    new_text: DisplayText = msgspec.UNSET


class Resource(msgspec.Struct, frozen=True, tag_field="dstream", tag="resource", omit_defaults=True):
    """What a lifecycle command does, or would do, with one resource. `note` is shown to users."""

    phase: Step
    op: Operation
    name: str
    type: str = ""
    diff: list[Difference] = []
    note: str = ""
    holds: int = 0
    """How much data it holds, which replacing or deleting it would lose."""
    kind: DisplayText = msgspec.UNSET
    """The display name of `type`: `queue`."""
    held: DisplayText = msgspec.UNSET
    """The unit of `holds`, in the plural: `messages`."""
    confirm: str = ""
    """What the user must type before it is replaced or deleted."""


class Diagnostic(msgspec.Struct, frozen=True, tag_field="dstream", tag="diagnostic", omit_defaults=True):
    """A message for the user about a lifecycle command, or about the resource `name`."""

    message: str
    severity: Literal["info", "warning", "error"] = "warning"
    name: str = ""


class RequirementCheck(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that a provider needs on this machine, checked by the provider. `fix`: what to do if not `ok`."""

    name: str
    ok: bool
    detail: str = ""
    fix: str = ""


Mark = Literal["ok", "warning", "failure"]


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result of one check by `dstream doctor`. `fix`: how to fix a warning or a failure."""

    mark: Mark
    subject: str
    text: str = ""
    fix: str = ""


class Findings(msgspec.Struct, frozen=True, tag_field="dstream", tag="findings"):
    """The answer to `doctor`."""

    findings: list[Finding]


class CheckCommand(msgspec.Struct, frozen=True):
    """Line 1 for a provider with the capability `check`: configs to check without connecting to anything."""

    command: Literal["check"] = "check"
    configs: list[dict[str, Any]] = []


class ConfigClaim(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that only one task can declare. `id` identifies it across tasks; `name` is shown to users."""

    id: str
    name: str
    config_path: str = ""


class CheckedConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result for one config."""

    problems: list[ErrorBody] = []
    claims: list[ConfigClaim] = []


class Checked(msgspec.Struct, frozen=True, tag_field="dstream", tag="checked"):
    """The answer to `check`: one result per config, in order."""

    configs: list[CheckedConfig]


class Description(msgspec.Struct, frozen=True, tag_field="dstream", tag="description"):
    """The answer to `describe`."""

    config_schema: dict[str, Any]
    summary: str = ""
    docs: str = ""
    requirements: list[RequirementCheck] = []


Control = (
    Hello
    | Welcome
    | Checkpoint
    | Ack
    | TraceContext
    | Stop
    | SnapshotRequest
    | End
    | Heartbeat
    | Log
    | Metric
    | Error
    | Description
    | Checked
    | Findings
    | Resource
    | Diagnostic
)

_KINDS = frozenset(
    {
        "hello",
        "welcome",
        "checkpoint",
        "ack",
        "trace",
        "stop",
        "snapshot",
        "end",
        "heartbeat",
        "log",
        "metric",
        "error",
        "description",
        "checked",
        "findings",
        "resource",
        "diagnostic",
    }
)
_encoder = msgspec.json.Encoder()
_control = msgspec.json.Decoder(Control)
_status = msgspec.json.Decoder(Status)
_command = msgspec.json.Decoder(Command)
_check = msgspec.json.Decoder(CheckCommand)
_object = msgspec.json.Decoder(dict[str, Any])


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for untrusted bytes: invalid JSON or the wrong shape, invalid UTF-8, or nesting too deep."""


class BadLine(ValueError):
    """A line that is not a valid message of its kind; the text gives the reason."""


class _Kind(msgspec.Struct, frozen=True):
    dstream: str


_kind = msgspec.json.Decoder(_Kind)


def encode(message: msgspec.Struct) -> bytes:
    """Return the message as one line, including the newline."""
    return _encoder.encode(message) + b"\n"


def decode_control(line: bytes) -> Control | None:
    """Decode a control line; return None for a kind that this version does not know. Raises BadLine."""
    try:
        control: Control = _control.decode(line)
        if isinstance(control, Log):
            _object.decode(line)  # its other fields must be readable too: `decode_log_fields` decodes them later
    except UNREADABLE as error:
        try:
            known = _kind.decode(line).dstream in _KINDS
        except UNREADABLE:
            known = True
        if known:
            raise BadLine(str(error)) from error
        return None
    return control


def decode_check(line: bytes) -> CheckCommand:
    """Decode line 1 of `check`. Raises BadLine."""
    try:
        return _check.decode(line)
    except UNREADABLE as error:
        raise BadLine(str(error)) from error


def decode_status(line: bytes) -> Status | None:
    """Decode the `{"status":"ready"|"error"}` handshake line; return None for any other line."""
    try:
        status = _status.decode(line)
    except UNREADABLE:
        return None
    return status if status.status in ("ready", "error") else None


def decode_command(line: bytes) -> Command:
    """Decode line 1 from the host. A bare config object (a provider run by hand) means `run`. Raises BadLine."""
    try:
        fields = _object.decode(line)
        if not isinstance(fields.get("command"), str):
            return Command("run", config=fields)
        return _command.decode(line)
    except UNREADABLE as error:
        raise BadLine(str(error)) from error


def decode_log_fields(line: bytes) -> dict[str, Any]:
    """Return the other fields of a log line that `decode_control` has decoded."""
    fields = _object.decode(line)
    return {key: value for key, value in fields.items() if key not in ("dstream", "level", "event")}

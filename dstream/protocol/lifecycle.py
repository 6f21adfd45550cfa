"""Line 1 and the last line of the lifecycle commands: init, plan, status, destroy. Pure."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from dstream.protocol.messages import UNREADABLE, BadLine, Difference, ErrorBody, Operation, Step

LifecycleName = Literal["init", "plan", "status", "destroy"]
LIFECYCLE_COMMANDS: tuple[str, ...] = get_args(LifecycleName)


class LifecycleOptions(msgspec.Struct, frozen=True):
    """What was asked for on the command line."""

    destroy: bool = False
    """`plan` of what `destroy` would do."""
    target: list[str] = []
    """Names of resources; empty: all."""
    refresh_only: bool = False
    """`status` records what is really there."""


class Infrastructure(msgspec.Struct, frozen=True):
    """Where the infrastructure of a task is recorded; None leaves the engine's own default."""

    task: str = ""
    stack: str = ""
    work_dir: str = ""
    """An absolute path, of this task and stack alone."""
    backend_url: str | None = None
    secrets_provider: str | None = None


class LifecycleCommand(msgspec.Struct, frozen=True):
    """Line 1 from the host."""

    command: LifecycleName
    config: dict[str, Any] = {}
    infrastructure: Infrastructure = Infrastructure()
    options: LifecycleOptions = LifecycleOptions()


class ListedResource(msgspec.Struct, frozen=True):
    """A resource in the last line; its fields are those of messages.Resource, and any may be absent."""

    name: str = ""
    type: str = ""
    op: Operation = "same"
    phase: Step = "done"
    diff: list[Difference] = []
    note: str = ""


class LifecycleResult(msgspec.Struct, frozen=True):
    """A provider's last line (`InfrastructureResult` in the original): everything about the command in one place."""

    status: Literal["Success", "Failed"]
    resources: list[ListedResource] = []
    metadata: dict[str, Any] = {}
    """`summary`: how many resources by operation; `outputs`: what others need to know of them."""
    message: str = ""
    error: ErrorBody | None = None


class _Loose(msgspec.Struct, frozen=True):
    """A last line as any provider may write it."""

    status: Literal["Success", "Failed"]
    resources: list[Any] | None = None
    metadata: dict[str, Any] | None = None
    message: str | None = None
    error: Any = None


_command = msgspec.json.Decoder(LifecycleCommand)
_loose = msgspec.json.Decoder(_Loose)


def decode_lifecycle_command(line: bytes) -> LifecycleCommand:
    """Raises BadLine."""
    try:
        return _command.decode(line)
    except UNREADABLE as error:
        raise BadLine(str(error)) from error


def decode_result(line: bytes) -> LifecycleResult | None:
    """None for a line that is no result. Resources may be names alone, the error a text: the original left it open."""
    try:
        loose = _loose.decode(line)
    except UNREADABLE:
        return None
    return LifecycleResult(
        status=loose.status,
        resources=[_resource(each) for each in loose.resources or ()],
        metadata=loose.metadata or {},
        message=loose.message or "",
        error=_error(loose.error),
    )


def _resource(value: Any) -> ListedResource:
    try:
        return msgspec.convert(value, ListedResource)
    except msgspec.ValidationError:
        name = value.get("name") if isinstance(value, dict) else value
        return ListedResource(name=str(name))


def _error(value: Any) -> ErrorBody | None:
    if not value:
        return None
    try:
        return msgspec.convert(value, ErrorBody)
    except msgspec.ValidationError:
        return ErrorBody("provider.failed", "system", str(value))

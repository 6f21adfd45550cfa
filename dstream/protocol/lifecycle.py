"""Line 1 and the last line of the lifecycle commands: init, plan, status, destroy. Pure."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from dstream.protocol.messages import UNREADABLE, BadLine, Difference, ErrorBody, Infrastructure, Operation, Step

LifecycleName = Literal["init", "plan", "status", "destroy"]
LIFECYCLE_COMMANDS: tuple[str, ...] = get_args(LifecycleName)


class LifecycleOptions(msgspec.Struct, frozen=True):
    """What was asked for on the command line."""

    destroy: bool = False
    """`plan` of what `destroy` would do."""
    target: list[str] = []
    """Names of resources; empty: all."""
    refresh: bool = True
    """`plan` and `init` look at what is really there; without it they trust what is recorded."""
    refresh_only: bool = False
    """`status` records what is really there."""
    parallel: int | None = None
    """How many resources to work on at once; None: as the engine sees fit."""
    allow_data_loss: bool = False
    """Replace and delete also what holds data."""
    import_: bool = msgspec.field(default=False, name="import")
    """`init` takes over what exists already."""
    lock_timeout_s: float = 0.0
    """How long to wait for another command on the same infrastructure."""
    expect: dict[str, Any] | None = None
    """The `plan` document that `init` or `destroy` must match: what was not shown is refused."""
    exact: bool = False
    """`expect` is from a file: refuse also when less is left to do than it says, or anything it was made from moved."""


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
    holds: int = 0


class LifecycleResult(msgspec.Struct, frozen=True):
    """A provider's last line (`InfrastructureResult` in the original): everything about the command in one place."""

    status: Literal["Success", "Failed"]
    resources: list[ListedResource] = []
    metadata: dict[str, Any] = {}
    """`summary`: how many resources by operation; `outputs`: what others need to know of them; `plan`: the document
    that `init` and `destroy` take as `expect`; `figures`: what `status` measured; `where`: what all of it is in."""
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

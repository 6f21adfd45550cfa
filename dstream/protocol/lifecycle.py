"""Line 1 and the last line of the lifecycle commands: init, plan, status, destroy. Pure."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from dstream.protocol.messages import (
    UNREADABLE,
    BadLine,
    Difference,
    DisplayText,
    ErrorBody,
    Infrastructure,
    Operation,
    Step,
)

LifecycleName = Literal["init", "plan", "status", "destroy"]
LIFECYCLE_COMMANDS: tuple[str, ...] = get_args(LifecycleName)
UPDATE_PLAN = "update_plan"
"""The key of a plan document for what only an `init` needs that follows at once (`init_follows`); null in others."""


class LifecycleOptions(msgspec.Struct, frozen=True):
    """The command-line options."""

    destroy: bool = False
    """`plan` shows what `destroy` would do."""
    target: list[str] = []
    """Resource names; empty: all."""
    exclude: list[str] = []
    """Resource names to leave out; not together with `target`."""
    replace: list[str] = []
    """Resource names that `plan` and `init` replace, even if nothing about them has changed."""
    target_dependents: bool = False
    """Include what depends on the targets."""
    refresh: bool = True
    """`plan` and `init` read the actual state; if false, they trust the record."""
    refresh_only: bool = False
    """`status` records the actual state."""
    parallel: int | None = None
    """Maximum number of resources changed concurrently; None: the engine's default."""
    allow_data_loss: bool = False
    """Allow replacing or deleting resources that hold data."""
    confirmed: list[str] = []
    """What the user typed to confirm replacing or deleting resources that contain others' resources."""
    import_: bool = msgspec.field(default=False, name="import")
    """`init` imports existing resources."""
    lock_timeout_s: float = 0.0
    """How long to wait for the stack lock."""
    expect: dict[str, Any] | None = None
    """The `plan` document that `init` or `destroy` must match: changes not in it are refused."""
    init_follows: bool = False
    """`plan` is the first half of `init --yes`: `init` with this plan follows at once, unless the plan is refused."""
    exact: bool = False
    """`expect` is from a file: also refuse if fewer changes are left, or if anything it was based on has changed."""


class LifecycleCommand(msgspec.Struct, frozen=True):
    """Line 1 from the host."""

    command: LifecycleName
    config: dict[str, Any] = {}
    infrastructure: Infrastructure = Infrastructure()
    options: LifecycleOptions = LifecycleOptions()


class ListedResource(msgspec.Struct, frozen=True):
    """A resource in the last line, with the fields of messages.Resource; any may be absent."""

    name: str = ""
    type: str = ""
    op: Operation = "same"
    phase: Step = "done"
    diff: list[Difference] = []
    note: str = ""
    holds: int = 0
    kind: DisplayText = msgspec.UNSET
    held: DisplayText = msgspec.UNSET
    confirm: str = ""


class LifecycleResult(msgspec.Struct, frozen=True):
    """A provider's last line (`InfrastructureResult` in the original): the full result."""

    status: Literal["Success", "Failed"]
    resources: list[ListedResource] = []
    metadata: dict[str, Any] = {}
    """`summary`: number of resources per operation; `outputs`: names and addresses for others; `plan`: the document
    that `init` and `destroy` take as `expect`; `figures`: measured by `status`; `where`: the resources' container."""
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
    """Decode line 1 from the host. Raises BadLine."""
    try:
        return _command.decode(line)
    except UNREADABLE as error:
        raise BadLine(str(error)) from error


def decode_result(line: bytes) -> LifecycleResult | None:
    """Decode a last line; return None for any other line.

    Legacy providers may send resources as bare names and the error as text.
    """
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

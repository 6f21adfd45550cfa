"""Outputs that manage infrastructure: the methods to implement, their context and their results.

Light: imported before a provider's first line.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from dstream.sdk._stream import Stop

if TYPE_CHECKING:
    from dstream.protocol.lifecycle import LifecycleOptions
    from dstream.protocol.messages import Infrastructure

ConfigT = TypeVar("ConfigT")

Operation = Literal["create", "update", "replace", "delete", "same", "refresh", "import"]
Phase = Literal["planned", "started", "done", "failed"]


class Difference(NamedTuple):
    """One property: its current and planned value (for `status`: recorded and actual).

    `label`, `old_text` and `new_text` are shown to users instead of the path and the raw values: `max size`, `1GB`.
    """

    path: str
    old: Any = None
    new: Any = None
    label: str = ""
    old_text: str = ""
    new_text: str = ""


class Resource(NamedTuple):
    """One resource, and what happens to it. `note` is shown to users: "holds 1,284 messages that would be lost".

    `holds`: how much data replacing or deleting it would lose; `held`: the unit ("messages"). Without
    `options.allow_data_loss`, `init` and `destroy` must refuse that (RefusedError). `kind`: display name of `type`.
    `confirm`: what the user must type before it is replaced or deleted, because others' resources would be deleted with
    it; `init` and `destroy` must refuse unless `options.confirmed` contains it.
    """

    name: str
    type: str = ""
    op: Operation = "same"
    diff: Sequence[Difference] = ()
    note: str = ""
    holds: int = 0
    kind: str = ""
    held: str = ""
    confirm: str = ""


class Figure(NamedTuple):
    """A measurement from `status`: `Figure("messages", "orders", "1,204 active", {"active": 1204})`."""

    label: str
    name: str
    text: str
    values: Mapping[str, Any] = {}


class Plan(NamedTuple):
    """What `init` would do (or `destroy`, with `options.destroy`) with every resource, including unchanged ones.

    `message`: anything else the user should know. `document`: what the provider needs to recognise this plan when it
    receives it as `options.expect`; JSON without secrets. `where`: the container, as shown to users:
    "sb-retail (rg-retail)".
    """

    resources: Sequence[Resource] = ()
    message: str = ""
    document: Mapping[str, Any] = {}
    where: str = ""


class Result(NamedTuple):
    """What was done. `outputs`: what others need, such as names and addresses; never a secret."""

    resources: Sequence[Resource] = ()
    outputs: Mapping[str, Any] = {}
    message: str = ""


class Status(NamedTuple):
    """The actual state: a resource whose `op` is not "same" has drifted from the record."""

    resources: Sequence[Resource] = ()
    outputs: Mapping[str, Any] = {}
    message: str = ""
    figures: Sequence[Figure] = ()
    where: str = ""


class InfrastructureContext:
    """The options of one lifecycle command, and the methods to report its progress."""

    def __init__(
        self,
        infrastructure: Infrastructure,
        options: LifecycleOptions,
        stop: Stop,
        report: Callable[[Resource, Phase], None],
        diagnose: Callable[[str, str, str], None],
    ) -> None:
        self.infrastructure = infrastructure
        """Stack, work_dir, backend_url: where to record what was created."""
        self.options = options
        self.stop = stop
        """Set when the user cancels or the host is gone: finish or undo the current step, then call `check`."""
        self._report = report
        self._diagnose = diagnose

    def resource(self, resource: Resource, phase: Phase) -> None:
        """Report progress. Steps that are done or failed are part of the result, even if the command fails later."""
        self._report(resource, phase)

    def diagnostic(self, severity: Literal["info", "warning", "error"], message: str, *, name: str = "") -> None:
        """Show the user a message about the command, or about the resource `name`."""
        self._diagnose(severity, message, name)

    def check(self) -> None:
        """Raise SystemFault `provider.cancelled` if the command should stop. Call it between steps."""
        if self.stop.is_set():
            from dstream.errors import SystemFault

            raise SystemFault("provider.cancelled", "cancelled before it finished")


class InfrastructureProvider(Protocol):
    """A class with these four methods manages infrastructure; no declaration is needed.

    Raise an error from `dstream.sdk.errors` when something fails: the result is then Failed, with its code, message and
    hint, and with the resources completed before it.
    """

    def init(self, context: InfrastructureContext) -> Result:
        """Create or update everything that the config describes. A repeated call converges and changes nothing else."""

    def plan(self, context: InfrastructureContext) -> Plan:
        """Return what `init` would do, or `destroy` with `context.options.destroy`. Change nothing."""

    def status(self, context: InfrastructureContext) -> Status:
        """Compare the recorded with the actual state."""

    def destroy(self, context: InfrastructureContext) -> Result:
        """Delete everything that `init` created."""


class InfrastructureProviderBase(ABC, Generic[ConfigT]):
    """A second base class next to OutputProvider: a class that lacks one of the four methods does not start."""

    config: ConfigT

    @abstractmethod
    def init(self, context: InfrastructureContext) -> Result: ...

    @abstractmethod
    def plan(self, context: InfrastructureContext) -> Plan: ...

    @abstractmethod
    def status(self, context: InfrastructureContext) -> Status: ...

    @abstractmethod
    def destroy(self, context: InfrastructureContext) -> Result: ...


def manages_infrastructure(provider: type[Any]) -> bool:
    """Return whether the class has all methods of InfrastructureProvider.

    Raises TypeError if it derives from the base but lacks some: it would count as an output without infrastructure.
    """
    methods = [getattr(provider, name, None) for name in ("init", "plan", "status", "destroy")]
    has_all = all(callable(method) and not getattr(method, "__isabstractmethod__", False) for method in methods)
    if not has_all and issubclass(provider, InfrastructureProviderBase):
        missing = ", ".join(sorted(provider.__abstractmethods__))
        raise TypeError(f"{provider.__name__} derives from InfrastructureProviderBase but lacks: {missing}")
    return has_all

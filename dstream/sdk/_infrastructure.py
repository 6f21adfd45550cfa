"""Outputs that manage what they write to: what an author implements, what he is given, what he answers.

Imported before a provider's first line: light.
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

    `holds`: how much data it holds, which replacing or deleting it would lose, and `held` the unit ("messages"). `init`
    and `destroy` must refuse that (RefusedError) without `options.allow_data_loss`. `kind`: display name of `type`.
    """

    name: str
    type: str = ""
    op: Operation = "same"
    diff: Sequence[Difference] = ()
    note: str = ""
    holds: int = 0
    kind: str = ""
    held: str = ""


class Figure(NamedTuple):
    """Something that `status` measured: `Figure("messages", "orders", "1,204 active", {"active": 1204})`."""

    label: str
    name: str
    text: str
    values: Mapping[str, Any] = {}


class Plan(NamedTuple):
    """What `init` would do (or `destroy`, with `options.destroy`): every resource, also those that stay the same.

    `message`: what else to know before it is done. `document`: what the provider needs to recognise this plan when it
    comes back as `options.expect`; JSON, never a secret. `where`: what it is in, for people: "sb-retail (rg-retail)".
    """

    resources: Sequence[Resource] = ()
    message: str = ""
    document: Mapping[str, Any] = {}
    where: str = ""


class Result(NamedTuple):
    """What was done. `outputs`: what others need to know of it, such as names and addresses; never a secret."""

    resources: Sequence[Resource] = ()
    outputs: Mapping[str, Any] = {}
    message: str = ""


class Status(NamedTuple):
    """What is there: a resource whose `op` is not "same" has drifted from what is recorded."""

    resources: Sequence[Resource] = ()
    outputs: Mapping[str, Any] = {}
    message: str = ""
    figures: Sequence[Figure] = ()
    where: str = ""


class InfrastructureContext:
    """What one lifecycle command is asked to do, and the way to tell how far it is."""

    def __init__(
        self,
        infrastructure: Infrastructure,
        options: LifecycleOptions,
        stop: Stop,
        report: Callable[[Resource, Phase], None],
        diagnose: Callable[[str, str, str], None],
    ) -> None:
        self.infrastructure = infrastructure
        """Stack, work_dir, backend_url: where to keep the record of what was made."""
        self.options = options
        self.stop = stop
        """Set when the user cancels or the host is gone: finish or undo the step at hand, then call `check`."""
        self._report = report
        self._diagnose = diagnose

    def resource(self, resource: Resource, phase: Phase) -> None:
        """Show progress. What was done or failed is part of the result, also when the command fails later on."""
        self._report(resource, phase)

    def diagnostic(self, severity: Literal["info", "warning", "error"], message: str, *, name: str = "") -> None:
        """Tell the user something about the command, or about the resource `name`."""
        self._diagnose(severity, message, name)

    def check(self) -> None:
        """Raises SystemFault `provider.cancelled` once the command is to end: between steps, while all is in order."""
        if self.stop.is_set():
            from dstream.errors import SystemFault

            raise SystemFault("provider.cancelled", "cancelled before it was done")


class InfrastructureProvider(Protocol):
    """Whoever has these four methods manages infrastructure; nothing is declared.

    Raise an error of `dstream.sdk.errors` when something fails: the result then says Failed, with its code, message and
    hint, and with the resources that were done before.
    """

    def init(self, context: InfrastructureContext) -> Result:
        """Create or update everything that the config describes. Again: converge, and change nothing else."""

    def plan(self, context: InfrastructureContext) -> Plan:
        """Say what `init` would do, or `destroy` with `context.options.destroy`. Change nothing."""

    def status(self, context: InfrastructureContext) -> Status:
        """Compare what is recorded with what is really there."""

    def destroy(self, context: InfrastructureContext) -> Result:
        """Delete everything that `init` made."""


class InfrastructureProviderBase(ABC, Generic[ConfigT]):
    """To derive from next to OutputProvider: a class that leaves one of the four methods out does not start."""

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
    """Whether the class has all of InfrastructureProvider. Raises TypeError for one that derives from the base
    and has a part only: it would be taken for an output without infrastructure.
    """
    methods = [getattr(provider, name, None) for name in ("init", "plan", "status", "destroy")]
    has_all = all(callable(method) and not getattr(method, "__isabstractmethod__", False) for method in methods)
    if not has_all and issubclass(provider, InfrastructureProviderBase):
        missing = ", ".join(sorted(provider.__abstractmethods__))
        raise TypeError(f"{provider.__name__} derives from InfrastructureProviderBase but lacks: {missing}")
    return has_all

"""What DStream needs to know about a provider's infrastructure to plan, create and protect it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

    from dstream.infra.plan.step import Step
    from dstream.infra.plan.unrecorded import UnrecordedResources
    from dstream.sdk import Figure

T = TypeVar("T")
Program = Callable[[], Awaitable[object] | None]
"""A Pulumi program: a function that declares resources. An awaitable that it returns is awaited before it ends."""


class Recorded(NamedTuple):
    """A resource in the record."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    """Secrets are masked."""
    outputs: Mapping[str, Any] = MappingProxyType({})
    """As last read; secrets are masked."""


class Content(NamedTuple):
    """Something inside a resource, perhaps created by others."""

    id: str
    """As in the steps of the plan: shows whether it is one of this stack's resources. Compared ignoring case."""
    kind: str
    """Its display name: `queue`."""
    name: str
    holds: int | None = 0
    """How much data it holds; None if unknown."""


class Contents(NamedTuple):
    """What a resource contains."""

    items: Sequence[Content] = ()
    unknown: str = ""
    """Why the contents cannot be listed."""


class RunProgram(Protocol):
    """Runs a function as a Pulumi program, so that it may call functions of provider packages; returns its result."""

    def __call__(self, question: Callable[[], T]) -> T: ...


def _no_contents(steps: Sequence[Step], run: RunProgram) -> Mapping[str, Contents]:
    return {}


def _none_renewed(steps: Sequence[Step], run: RunProgram) -> Collection[str]:
    return ()


def _protect_setting(resource_type: str, name: str) -> str:
    return "protect"


def _no_id(resource_type: str, inputs: Mapping[str, Any]) -> str | None:
    return None


def _ignore_ids(ids: Collection[str]) -> None:
    return


def _no_path(resource_type: str, name: str) -> str:
    return ""


def _nothing(step: Step) -> int:
    return 0


def _unchanged(recorded: Sequence[Recorded], is_destroyed: bool) -> Definition | None:
    return None


def _no_message(steps: Sequence[Step]) -> str:
    return ""


def _no_figures(steps: Sequence[Step]) -> Sequence[Figure]:
    return ()


def _is_a_failure(error: str) -> bool:
    return False


class Display(Protocol):
    """Display texts for raw values. Return "" for the host's default."""

    def kind(self, resource_type: str) -> str:
        """Return the display name of a type: `queue`."""

    def label(self, resource_type: str, path: str) -> str:
        """Return the display name of a property: `max size`."""

    def text(self, resource_type: str, path: str, value: Any) -> str:
        """Return the display form of a property's value: `1GB`. The value may be a placeholder for a secret."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One task's infrastructure: a Pulumi program and the facts that DStream needs about it."""

    program: Program
    """Declares the resources; `pulumi.export` sets the outputs. Runs once per preview and once per update."""
    spec: Mapping[str, Any]
    """The program's input, as JSON without secrets. A saved plan is refused if it has changed."""
    where: str = ""
    """Where the resources are, for display: `sb-retail (rg-retail)`."""
    plugins: Mapping[str, str] = field(default_factory=dict)
    """Provider plugins and versions: `{"azure-native": "3.29.0"}`. Installed on first use, unless attached."""
    attached: Mapping[str, ResourceProviderServicer] = field(default_factory=dict)
    """Resource providers that this process serves during a command, by package name."""
    engine_config: Mapping[str, str] = field(default_factory=dict)
    """Settings of provider packages, such as `azure-native:location`. Recorded, so never a secret."""
    resource_id: Callable[[str, Mapping[str, Any]], str | None] = _no_id
    """The provider's id of a resource, given its type and inputs. Used to find resources of an interrupted `init`."""
    see_ids: Callable[[Collection[str]], None] = _ignore_ids
    """Called with the ids of the recorded resources, for parts of an id that inputs lack, such as a subscription."""
    config_path_of: Callable[[str, str], str] = _no_path
    """The setting that declares the resource of this type and name, e.g. `subscriptions[0]`, so that an error about the
    resource points to its line; "" if there is none.
    """
    is_unreadable: Callable[[str], bool] = _is_a_failure
    """Whether this error only means that the provider cannot read a resource at present. The record is then trusted."""
    naming: Collection[str] = ()
    """Properties that only identify a resource; not shown for new resources."""
    holds: Callable[[Step], int] = _nothing
    """How much data replacing or deleting the resource would lose, from its actual state (`step.outputs`)."""
    contents: Callable[[Sequence[Step], RunProgram], Mapping[str, Contents]] = _no_contents
    """What the resources of these steps contain, by URN, e.g. the queues in a namespace. Called with the resources to
    replace or delete, because their contents would be deleted too, including what others created. Resources that
    contain nothing may be left out.
    """
    renewed: Callable[[Sequence[Step], RunProgram], Collection[str]] = _none_renewed
    """Writes resources again, and returns their URNs. Called after an update with the planned updates that the engine
    skipped: they refer to a resource that was replaced, and its replacement has the same values.
    """
    confirmed_by_name: Collection[str] = ()
    """Type tokens of resources whose name the user must type before they are deleted with what they contain."""
    protect_setting: Callable[[str, str], str] = _protect_setting
    """The setting that protects the resource of this type and name."""
    held: str = "items"
    """The unit of `holds`, in the plural, for display."""
    display: Display | None = None
    """Display names and values. None: the host's default format."""
    continued: Callable[[Sequence[Recorded], bool], Definition | None] = _unchanged
    """Returns the definition that continues from a record, e.g. with names spelled as recorded; None for this one.
    Raises ConfigError if this program cannot continue from it. Arguments: the recorded resources, and whether they are
    to be destroyed.
    """
    unrecorded: UnrecordedResources | None = None
    """Where the program reports resources that exist already although a plan would create them. None: it does not look
    for them.
    """
    stale_outputs: Callable[[Mapping[str, Any], RunProgram], Collection[str]] | None = None
    """Returns the names of the recorded outputs that are no longer valid, such as a key that was regenerated, so that
    `init` runs the program again. Gets the outputs with secrets in plain text; raises if it cannot tell.
    """
    message: Callable[[Sequence[Step]], str] = _no_message
    """Text shown with a plan, such as the capacity of the tier."""
    figures: Callable[[Sequence[Step]], Sequence[Figure]] = _no_figures
    """Figures that `status` shows, measured on the actual resources."""

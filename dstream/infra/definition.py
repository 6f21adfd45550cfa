"""What a provider's infrastructure consists of, as DStream needs to know it to plan, make and guard it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

    from dstream.infra.plan.step import Step
    from dstream.sdk import Figure


def _no_id(resource_type: str, inputs: Mapping[str, Any]) -> str | None:
    return None


def _no_path(resource_type: str, name: str) -> str:
    return ""


def _nothing(step: Step) -> int:
    return 0


def _goes_on(recorded: Collection[tuple[str, str]], is_destroyed: bool) -> None:
    return


def _no_message(steps: Sequence[Step]) -> str:
    return ""


def _no_figures(steps: Sequence[Step]) -> Sequence[Figure]:
    return ()


@dataclass(frozen=True, slots=True)
class Definition:
    """One task's infrastructure: a Pulumi program, and what DStream must know around it."""

    program: Callable[[], None]
    """Declares the resources; what it gives to `pulumi.export` are the outputs. Run anew each time."""
    spec: Mapping[str, Any]
    """What the program was made from, as JSON without any secret: a plan file notices when it changes."""
    where: str = ""
    """What the resources are in, for people: `sb-retail (rg-retail)`."""
    plugins: Mapping[str, str] = field(default_factory=dict)
    """Provider plugins and their versions: `{"azure-native": "3.29.0"}`. Installed at first use, unless attached."""
    attached: Mapping[str, ResourceProviderServicer] = field(default_factory=dict)
    """Resource providers that this process serves itself for the length of a command, by package name."""
    engine_config: Mapping[str, str] = field(default_factory=dict)
    """Settings of provider packages, such as `azure-native:location`; never a secret, since it is recorded."""
    resource_id: Callable[[str, Mapping[str, Any]], str | None] = _no_id
    """The provider's id of a resource of this type with these inputs: to look up what a killed `init` may have made."""
    config_path_of: Callable[[str, str], str] = _no_path
    """The setting that declares the resource of this type and name, such as `subscriptions[0]`, so that an error about
    the resource points at its line; "" if no setting does.
    """
    naming: Collection[str] = ()
    """Properties that say which resource it is, or nothing to people: not shown with what is new."""
    holds: Callable[[Step], int] = _nothing
    """How much data is lost when the step's resource is replaced or deleted, from its real state (`step.outputs`)."""
    held: str = "messages"
    """What `holds` counts, for people."""
    check_recorded: Callable[[Collection[tuple[str, str]], bool], None] = _goes_on
    """Given type and name of what is recorded, and whether it is to be destroyed: raises ConfigError when this program
    can't go on from there.
    """
    message: Callable[[Sequence[Step]], str] = _no_message
    """What else to tell with a plan, such as what the tier can carry."""
    figures: Callable[[Sequence[Step]], Sequence[Figure]] = _no_figures
    """What `status` shows of the real resources."""

"""A lifecycle command's request, events and outcome: the interface to `host/lifecycle`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dstream.errors import ConfigError, DStreamError
from dstream.host.provider.spec import HELLO_TIMEOUT_S, ProviderSpec
from dstream.protocol.lifecycle import LifecycleName, LifecycleOptions, ListedResource
from dstream.protocol.messages import Diagnostic, Infrastructure, Resource


@dataclass(frozen=True, slots=True)
class LifecycleJob:
    """One lifecycle command of one task. Times in seconds; the defaults are the protocol's."""

    task: str
    command: LifecycleName
    output: ProviderSpec
    infrastructure: Infrastructure
    options: LifecycleOptions
    cwd: Path | None = None
    start_timeout_s: float = 60.0
    hello_timeout_s: float = HELLO_TIMEOUT_S
    """A provider that sends no hello within this time counts as legacy."""
    silence_s: float = 60.0
    """A provider that sends heartbeats counts as hung after this long without a line."""
    quiet_s: float = 30.0
    """Without a line for this long, a legacy provider is suspected not to know the command."""
    cancel_deadline_s: float = 300.0
    """How long a cancelled command may take to end cleanly: the engine finishes its current step."""
    read_only_cancel_s: float = 2.0
    """The same for a command that changes nothing."""
    exit_grace_s: float = 5.0
    """How long the provider may take to exit after its last line."""

    @property
    def is_read_only(self) -> bool:
        return self.command == "plan" or (self.command == "status" and not self.options.refresh_only)


class LifecycleEvents(Protocol):
    """Receives a command's events; texts are already redacted. Called from several threads."""

    def log(self, level: str, event: str, /, **fields: Any) -> None: ...

    def resource(self, resource: Resource) -> None: ...

    def diagnostic(self, diagnostic: Diagnostic) -> None: ...


@dataclass(frozen=True, slots=True)
class LifecycleOutcome:
    """How a command ended. Texts are redacted."""

    provider: str
    """The name in its hello, or the label in the configuration."""
    resources: Sequence[ListedResource] = ()
    outputs: Mapping[str, Any] | None = None
    plan: Mapping[str, Any] | None = None
    """The plan document for `init` and `destroy` (`expect`); only from `plan`."""
    figures: Sequence[Mapping[str, Any]] = ()
    """Measurements from `status`: label, name, text, values."""
    where: str = ""
    """The container of the resources; from `plan` and `status`."""
    message: str = ""
    diagnostics: Sequence[Diagnostic] = ()
    error: DStreamError | None = None
    """The cause of a failure; None on success."""
    is_interrupted: bool = False
    """It was cancelled before it finished."""
    is_legacy: bool = False
    """The provider is legacy; its resources may be unknown."""


class NoInfrastructure(ConfigError):
    """The output provider manages no infrastructure; no command was sent."""

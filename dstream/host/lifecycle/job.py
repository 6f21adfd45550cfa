"""What a lifecycle command is asked to do, what it tells, and how it ended: the face of `lifecycle` to its caller."""

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
    """Without hello for so long a provider counts as one of the original protocol."""
    silence_s: float = 60.0
    """A provider that sends heartbeats hangs when it has been silent for so long."""
    quiet_s: float = 30.0
    """After so long without a line, a provider of the original protocol is suspected not to know the command."""
    cancel_deadline_s: float = 300.0
    """How long a cancelled command may take to come to an orderly end: an engine finishes the step at hand."""
    exit_grace_s: float = 5.0
    """How long it may take to exit after its last line."""


class LifecycleEvents(Protocol):
    """Where a command tells what happens; texts are redacted already. Called from several threads."""

    def log(self, level: str, event: str, **fields: Any) -> None: ...

    def resource(self, resource: Resource) -> None: ...

    def diagnostic(self, diagnostic: Diagnostic) -> None: ...


@dataclass(frozen=True, slots=True)
class LifecycleOutcome:
    """How a command ended. Texts are redacted."""

    provider: str
    """Its own name, or what the user wrote."""
    resources: Sequence[ListedResource] = ()
    outputs: Mapping[str, Any] | None = None
    plan: Mapping[str, Any] | None = None
    """What `init` and `destroy` take as `expect`; only of `plan`."""
    figures: Sequence[Mapping[str, Any]] = ()
    """What `status` measured: label, name, text, values."""
    where: str = ""
    """What the resources are in; of `plan` and `status`."""
    message: str = ""
    diagnostics: Sequence[Diagnostic] = ()
    error: DStreamError | None = None
    """Why it failed; None when it succeeded."""
    is_interrupted: bool = False
    """It was cancelled, and did not finish all the same."""
    is_legacy: bool = False
    """A provider of the original protocol: which resources there are may be unknown."""


class NoInfrastructure(ConfigError):
    """The output provider manages no infrastructure: nothing was asked of it."""

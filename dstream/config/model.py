"""What a configuration says, checked and typed: the face of this package to the rest of the product."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dstream.errors import ConfigError, ConfigErrors, SourceLocation
from dstream.protocol import DEFAULT_MAX_LINE

DEFAULT_START_TIMEOUT_S = 60.0
Role = Literal["input", "output"]
ROLES: tuple[Role, ...] = ("input", "output")

_LAST_STEP = re.compile(r'(?:\.?[^.\[\]]+|\[\d+\]|\["(?:[^"\\]|\\.)*"\])$')


@dataclass(frozen=True, slots=True)
class ProviderBlock:
    """The `input` or `output` block of a task. Exactly one of the three ways to name the provider is set.

    `config` is plain JSON. Paths in it are written `tables[0]`, `labels.env`, `labels["a.b"]`.
    """

    role: Role
    provider: str | None
    provider_path: str | None
    """As written; relative to `Project.folder`."""
    provider_ref: str | None
    place: SourceLocation
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    config_places: Mapping[str, SourceLocation] = field(default_factory=dict, repr=False)
    """Where the name of each setting stands, and each element of lists and objects that are written out."""
    config_value_places: Mapping[str, SourceLocation] = field(default_factory=dict, repr=False)
    """Where the value of each stands."""
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """The texts that were marked secret: hide them wherever they occur."""
    unread: frozenset[str] = frozenset()
    """Settings left out of `config` because a key vault was not to be asked; "" stands for all of it."""

    unset: Mapping[str, ConfigError | ConfigErrors] = field(default_factory=dict, repr=False)
    """With `defer_unset`: errors of settings left out of `config` because an environment variable is not set."""

    @property
    def label(self) -> str:
        """The provider as the user named it."""
        return self.provider or self.provider_path or self.provider_ref or ""

    def place_of(self, config_path: str) -> SourceLocation:
        """Where the setting, or what encloses it, stands; the block itself for what is not written there."""
        return self._nearest(self.config_places, config_path)

    def value_place_of(self, config_path: str) -> SourceLocation:
        """The same for the value: what to point at when it is wrong."""
        return self._nearest(self.config_value_places, config_path)

    def _nearest(self, places: Mapping[str, SourceLocation], path: str) -> SourceLocation:
        while path:
            if path in places:
                return places[path]
            shorter = _LAST_STEP.sub("", path)
            path = shorter if shorter != path else ""
        return self.place


@dataclass(frozen=True, slots=True)
class Restart:
    """How a pair of providers is started again after a failure that may pass (protocol rule 9)."""

    max_attempts: int = 10
    """In a row without an acknowledged checkpoint; 0: never."""
    initial_delay_s: float = 1.0
    """Doubled with each attempt."""
    max_delay_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Task:
    name: str
    type: str
    input: ProviderBlock
    output: ProviderBlock
    place: SourceLocation
    max_line: int = DEFAULT_MAX_LINE
    """The longest data line in bytes."""
    start_timeout_s: float = DEFAULT_START_TIMEOUT_S
    restart: Restart = Restart()


@dataclass(frozen=True, slots=True)
class StateSettings:
    backend: str = "file"
    path: str = ".dstream/state"
    """Relative to `Project.folder`."""


@dataclass(frozen=True, slots=True)
class InfrastructureSettings:
    """Settings of the infrastructure engine; None leaves its default."""

    stack: str = "dev"
    backend_url: str | None = None
    work_dir: str | None = None
    """Relative to `Project.folder`."""
    secrets_provider: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The `dstream` block."""

    required_version: str | None = None
    state: StateSettings = StateSettings()
    infrastructure: InfrastructureSettings = InfrastructureSettings()


@dataclass(frozen=True, slots=True)
class Project:
    path: Path
    """The file or folder that was loaded."""
    folder: Path
    """Absolute; what relative paths in the configuration start from."""
    settings: Settings
    tasks: Mapping[str, Task]
    """In the order of the file."""

    @property
    def stack(self) -> str:
        return self.settings.infrastructure.stack

    @property
    def state_dir(self) -> Path:
        return self.folder / Path(self.settings.state.path).expanduser()

    @property
    def socket_dir(self) -> Path:
        """Where running hosts answer."""
        return self.folder / ".dstream" / "run"

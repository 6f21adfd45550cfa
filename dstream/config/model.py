"""The validated, typed configuration: this package's interface to the rest of the product."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from dstream.config.values.environment import FileRead
from dstream.errors import ConfigError, ConfigErrors, SourceLocation
from dstream.protocol import DEFAULT_MAX_LINE
from dstream.protocol.config_schema import ConfigPath
from dstream.protocol.transforms import Transform
from dstream.state import SecondLock, StateBackend, StateLocation

DEFAULT_START_TIMEOUT_S = 60.0
Role = Literal["input", "transform", "output"]
ROLES: tuple[Role, ...] = ("input", "output")

_LAST_STEP = re.compile(r'(?:\.?[^.\[\]]+|\[\d+\]|\["(?:[^"\\]|\\.)*"\])$')


@dataclass(frozen=True, slots=True)
class ProviderBlock:
    """A block that names a provider: `input`, `transform` or `output` of a task, or a `deployment`, whose role is
    `output`. Exactly one of the three provider attributes is set.

    `config` is plain JSON. Paths in it have the form `tables[0]`, `labels.env`, `labels["a.b"]`.
    """

    role: Role
    provider: str | None
    provider_path: str | None
    """As written; relative to `Project.folder`."""
    provider_ref: str | None
    place: SourceLocation
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    config_places: Mapping[str, SourceLocation] = field(default_factory=dict, repr=False)
    """The place of each setting's name, and of each element of literal lists and objects."""
    config_value_places: Mapping[str, SourceLocation] = field(default_factory=dict, repr=False)
    """The place of each value."""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables that this provider's process gets in addition to its environment."""
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """Strings in `config` and `environ` marked as secret; redact them wherever they occur."""
    read: Mapping[ConfigPath, frozenset[str]] = field(default_factory=dict, repr=False)
    """The paths of all sensitive settings, with the strings in them that `env()` or `file()` has read."""
    unread: frozenset[str] = frozenset()
    """Settings omitted from `config` because key vaults are not read; "" means all settings."""

    unset: Mapping[str, ConfigError | ConfigErrors] = field(default_factory=dict, repr=False)
    """With `defer_unset`: errors of the settings omitted from `config` because an environment variable is unset."""

    @property
    def label(self) -> str:
        """The provider as written by the user."""
        return self.provider or self.provider_path or self.provider_ref or ""

    def place_of(self, config_path: str) -> SourceLocation:
        """Return the place of the setting, or of the nearest enclosing setting or block that has one."""
        return self._nearest(self.config_places, config_path)

    def value_place_of(self, config_path: str) -> SourceLocation:
        """Return the place of the value, for errors about the value."""
        return self._nearest(self.config_value_places, config_path)

    def _nearest(self, places: Mapping[str, SourceLocation], path: str) -> SourceLocation:
        while path:
            if path in places:
                return places[path]
            shorter = _LAST_STEP.sub("", path)
            path = shorter if shorter != path else ""
        return self.place


@dataclass(frozen=True, slots=True)
class TransformBlock:
    """A `transform` block of a task."""

    kind: str
    place: SourceLocation
    transform: Transform | None = field(default=None, repr=False)
    """None: not evaluated, or not known yet because a key vault or an environment variable is not read."""
    places: Mapping[str, SourceLocation] = field(default_factory=dict, repr=False)
    """The place of each attribute's name."""
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    read: frozenset[str] = field(default=frozenset(), repr=False)
    """What `env()` or `file()` has read, except for names of tables and columns."""
    unset: tuple[ConfigError | ConfigErrors, ...] = field(default=(), repr=False)
    """With `defer_unset`: errors of attributes that need an unset environment variable."""


@dataclass(frozen=True, slots=True)
class Restart:
    """How to restart both providers after a transient failure (protocol rule 9)."""

    max_attempts: int = 10
    """Consecutive attempts without an acknowledged checkpoint; 0: never restart."""
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
    transform: ProviderBlock | None = None
    """A third provider, which rows pass through before the transforms."""
    transforms: tuple[TransformBlock, ...] = ()
    """In file order."""
    max_line: int = DEFAULT_MAX_LINE
    """The maximum length of a data line in bytes."""
    start_timeout_s: float = DEFAULT_START_TIMEOUT_S
    restart: Restart = Restart()

    @property
    def providers(self) -> tuple[ProviderBlock, ...]:
        """In the order in which rows pass through them."""
        return tuple(block for block in (self.input, self.transform, self.output) if block is not None)


@dataclass(frozen=True, slots=True)
class StateSettings:
    backend: StateBackend = "file"
    path: str = ".dstream/state"
    """Of the backend `file`; relative to `Project.folder`."""
    history: int = 50
    """How many checkpoints of each task are kept for a rollback."""
    url: str | None = field(default=None, repr=False)
    """Of a network backend; None: DSTREAM_STATE_URL."""
    lease_s: float = 30.0
    """Of a network backend."""
    allow_plaintext: bool = False
    """Whether a backend on another machine can be used without TLS, or without verifying its certificate."""


@dataclass(frozen=True, slots=True)
class InfrastructureSettings:
    """Settings of the infrastructure engine. None: its default."""

    stack: str = "dev"
    backend_url: str | None = None
    work_dir: str | None = None
    """Relative to `Project.folder`."""
    secrets_provider: str | None = None
    program: str | None = None
    """A Python file, relative to the project's folder, that changes the declared resources or adds others."""


@dataclass(frozen=True, slots=True)
class AuditSettings:
    file: str | None = None
    """The audit log, relative to `Project.folder`; None: no audit log."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The `dstream` block."""

    required_version: str | None = None
    state: StateSettings = StateSettings()
    infrastructure: InfrastructureSettings = InfrastructureSettings()
    audit: AuditSettings = AuditSettings()
    allowed_providers: tuple[str, ...] | None = None
    """The names and digests of the providers that may start; None: all."""


@dataclass(frozen=True, slots=True)
class Project:
    path: Path
    """The file or folder that was loaded."""
    folder: Path
    """Absolute; relative paths in the configuration start here."""
    settings: Settings
    tasks: Mapping[str, Task]
    """In file order."""
    unset: tuple[ConfigError | ConfigErrors, ...] = ()
    """With `defer_unset`: errors of variables and locals that need an unset environment variable."""
    is_untrusted: bool = False
    deployments: Mapping[str, ProviderBlock] = field(default_factory=dict)
    """In file order; `config` is empty unless it was to be evaluated."""
    files_read: frozenset[FileRead] = frozenset()
    """The files that expressions have read, without those of variables files."""

    @property
    def stack(self) -> str:
        return self.settings.infrastructure.stack

    @property
    def state(self) -> StateLocation:
        """Where the checkpoints are."""
        settings = self.settings.state
        folder = self.folder / Path(settings.path).expanduser()
        url = settings.url or os.environ.get("DSTREAM_STATE_URL", "")
        return StateLocation(
            self.stack, folder, settings.backend, settings.history, url, settings.lease_s, settings.allow_plaintext
        )

    def state_of(self, task: Task) -> StateLocation:
        """Where the checkpoints of a task are, locked in addition as the original's `lock_config` of `mssql_cdc` says.

        The task's input must have been evaluated. The provider refuses a `lock_config` that is not valid.
        """
        config = task.input.config.get("lock_config") if task.input.provider == "mssql_cdc" else None
        if not isinstance(config, Mapping) or config.get("type") != "azure_blob":
            return self.state
        lock = [config.get(name) for name in ("connection_string", "container_name")]
        if not all(isinstance(each, str) and each for each in lock):
            return self.state
        return replace(self.state, second_lock=SecondLock(*map(str, lock)))

    @property
    def socket_dir(self) -> Path:
        """Where running hosts listen for requests."""
        return self.folder / ".dstream" / "run"

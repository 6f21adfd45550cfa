"""The program to start for a block of a task, and its config."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dstream.errors import SourceLocation
from dstream.protocol.config_schema import ConfigPath

HELLO_TIMEOUT_S = 5.0


Fit = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Converts the config to the types of a JSON schema. Raises ConfigErrors for what the schema forbids."""


def _nowhere(config_path: str) -> SourceLocation | None:
    return None


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """One resolved block of a task: the program to execute and its config."""

    argv: Sequence[str]
    config: Mapping[str, Any]
    label: str
    """The provider as the user wrote it: a name or a path."""
    place: SourceLocation | None = None
    place_of: Callable[[str], SourceLocation | None] = _nowhere
    """The place of a path inside the config, such as `tables[0]`."""
    secrets: frozenset[str] = frozenset()
    read: Mapping[ConfigPath, frozenset[str]] = field(default_factory=dict)
    """The paths of all sensitive settings, with the texts in them that `env()` or `file()` has read."""
    fit: Fit | None = None
    """None: the provider gets the config as it is."""
    environ: Mapping[str, str] | None = None
    """The program's environment; None: that of the host."""
    inherited: tuple[int, ...] = ()
    """Descriptors of the host that the program shares, under the same numbers."""

    @property
    def program(self) -> tuple[Sequence[str], frozenset[tuple[str, str]]]:
        """What starts, hashable: blocks of the same program can share a process."""
        return tuple(self.argv), frozenset((self.environ or {}).items())

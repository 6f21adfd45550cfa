"""The error tree: what went wrong, where, and what the reader of the message can do.

    DStreamError                 code, message, place, hint
    ├── ConfigError      config       exit 3   fix the HCL, the provider, or what the config names
    ├── AuthError        auth         exit 6   fix the credentials or the grants
    ├── UnreachableError unreachable  exit 6   (1 once the stream ran) wait, or fix address and network
    ├── LockedError      locked       exit 4   someone else holds it
    ├── RefusedError     refused      exit 5   a guard protects data; the hint says how to go past it
    ├── TransientError   transient    exit 1   try again
    ├── DataError        data         exit 1   a row that can't be carried
    └── SystemFault      system       exit 1   a broken machine, provider or program
    ConfigErrors                 several ConfigErrors at once (exit 3)

Each class is one `kind` of the provider protocol: grouped by what the host does next, not by where it happened.
Imports the standard library only, since providers import it before their first line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

Kind = Literal["config", "auth", "unreachable", "locked", "refused", "transient", "data", "system"]

RESTARTABLE: frozenset[Kind] = frozenset({"transient", "unreachable", "system"})
"""Kinds after which the pair of providers may be started again (protocol rule 9)."""


class SourceLocation(NamedTuple):
    """A position in a file as the user wrote it; line and column count from 1, 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0
    source_line: str = ""
    block: str = ""
    """The block around it for people: 'task "orders", input'."""

    def __str__(self) -> str:
        parts = [self.file, *(str(n) for n in (self.line, self.column) if n)]
        return ":".join(parts)


class DStreamError(Exception):
    """An error meant for people: a stable code, the cause in one sentence, the place, and the fix."""

    kind: ClassVar[Kind] = "system"

    def __init__(
        self,
        code: str,
        message: str,
        *,
        place: SourceLocation | None = None,
        hint: str = "",
        config_path: str = "",
        details: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.place = place
        self.hint = hint
        self.config_path = config_path
        """Inside a provider's config, e.g. `tables[0]`; the host turns it into a place."""
        self.details = tuple(details)
        """Further lines to show, such as the last lines of a provider's stderr."""


class ConfigError(DStreamError):
    kind: ClassVar[Kind] = "config"


class AuthError(DStreamError):
    kind: ClassVar[Kind] = "auth"


class UnreachableError(DStreamError):
    kind: ClassVar[Kind] = "unreachable"


class LockedError(DStreamError):
    kind: ClassVar[Kind] = "locked"


class RefusedError(DStreamError):
    kind: ClassVar[Kind] = "refused"


class TransientError(DStreamError):
    kind: ClassVar[Kind] = "transient"

    def __init__(
        self, code: str, message: str, *, retry_after_s: float = 0.0, hint: str = "", config_path: str = ""
    ) -> None:
        super().__init__(code, message, hint=hint, config_path=config_path)
        self.retry_after_s = retry_after_s


class DataError(DStreamError):
    kind: ClassVar[Kind] = "data"


class SystemFault(DStreamError):
    kind: ClassVar[Kind] = "system"


class ConfigErrors(Exception):
    """Everything that is wrong with the configuration, in the order of the file."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__(f"{len(errors)} configuration errors")
        self.errors = tuple(errors)


_BY_KIND: dict[str, type[DStreamError]] = {
    cls.kind: cls
    for cls in (
        ConfigError,
        AuthError,
        UnreachableError,
        LockedError,
        RefusedError,
        TransientError,
        DataError,
        SystemFault,
    )
}


def of_kind(kind: str, code: str, message: str, *, hint: str = "", config_path: str = "") -> DStreamError:
    """The error for a kind that came over the protocol; an unknown kind is a system fault (rule 13)."""
    return _BY_KIND.get(kind, SystemFault)(code, message, hint=hint, config_path=config_path)


_EXIT_CODES: dict[Kind, int] = {
    "config": 3,
    "auth": 6,
    "unreachable": 6,
    "locked": 4,
    "refused": 5,
    "transient": 1,
    "data": 1,
    "system": 1,
}


def exit_code(error: DStreamError | ConfigErrors, *, was_running: bool = False) -> int:
    """The process's exit code for an error; `was_running`: both providers had been ready."""
    if isinstance(error, ConfigErrors):
        return 3
    if error.kind == "unreachable" and was_running:
        return 1
    return _EXIT_CODES[error.kind]

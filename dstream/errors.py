"""The error tree: what went wrong, where, and how to fix it.

    DStreamError                 code, message, place, hint, details
    ├── ConfigError      config       exit 3   fix the HCL, the provider, or what the config refers to
    ├── ConfigErrors     config       exit 3   several ConfigErrors, in file order
    ├── AuthError        auth         exit 6   fix the credentials or the grants
    ├── UnreachableError unreachable  exit 6   (1 once the stream ran) wait, or fix address and network
    ├── LockedError      locked       exit 4   another process holds the lock
    ├── RefusedError     refused      exit 5   a safeguard protects data; the hint says how to override it
    ├── TransientError   transient    exit 1   retry
    ├── DataError        data         exit 1   a row that cannot be delivered
    └── SystemFault      system       exit 1   a broken machine, provider or program

Each class but ConfigErrors is one `kind` of the provider protocol: grouped by what the host does next, not by where it
happened.
Imports the standard library only, since providers import it before their first line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, Self

Kind = Literal["config", "auth", "unreachable", "locked", "refused", "transient", "data", "system"]

RESTARTABLE: frozenset[Kind] = frozenset({"transient", "unreachable", "system"})
"""Kinds after which the pair of providers may be restarted (protocol rule 9)."""


class SourceLocation(NamedTuple):
    """A position in a file; line and column count from 1, 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0
    source_line: str = ""
    block: str = ""
    """The enclosing block, for display: 'task "orders", input'."""

    def __str__(self) -> str:
        parts = [self.file, *(str(n) for n in (self.line, self.column) if n)]
        return ":".join(parts)


class DStreamError(Exception):
    """An error for the user: a stable code, the cause in one sentence, the place, and the fix."""

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
        """More lines to show, such as the last lines of a provider's stderr."""

    @property
    def aliases(self) -> tuple[str, ...]:
        """Former codes of the same error, kept for one release."""
        return _ALIASES.get(self.code, ())

    @property
    def errors(self) -> tuple[DStreamError, ...]:
        """The error itself, or those that it is made of."""
        return (self,)

    def at(self, place: SourceLocation | None) -> Self:
        """Return the same error at another place."""
        moved = type(self).__new__(type(self), *self.args)
        moved.__dict__.update(self.__dict__)
        moved.place = place
        return moved


_ALIASES = {"plan.stale": ("infra.stale_plan",), "plan.data_loss": ("infra.data_loss",)}


class ConfigError(DStreamError):
    kind: ClassVar[Kind] = "config"

    @property
    def errors(self) -> tuple[ConfigError, ...]:
        return (self,)


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
        self,
        code: str,
        message: str,
        *,
        retry_after_s: float = 0.0,
        place: SourceLocation | None = None,
        hint: str = "",
        config_path: str = "",
        details: Sequence[str] = (),
    ) -> None:
        super().__init__(code, message, place=place, hint=hint, config_path=config_path, details=details)
        self.retry_after_s = retry_after_s


class DataError(DStreamError):
    kind: ClassVar[Kind] = "data"


class SystemFault(DStreamError):
    kind: ClassVar[Kind] = "system"


class ConfigErrors(DStreamError):
    """Every error in the configuration, in file order; at least one. Its code is that of the first."""

    kind: ClassVar[Kind] = "config"

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        count = len(errors)
        super().__init__(errors[0].code, f"{count} configuration error{'' if count == 1 else 's'}")
        self._errors = tuple(errors)

    @property
    def errors(self) -> tuple[ConfigError, ...]:
        return self._errors


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
    """Return the error for a kind from the protocol; an unknown kind is a system fault (rule 13)."""
    return _BY_KIND.get(kind, SystemFault)(code, message, hint=hint, config_path=config_path)


def of_os_error(error: OSError, failed: str = "") -> SystemFault:
    """Return the error for one of the operating system. `failed`: what did not work, such as "cannot create x"."""
    where = f": {error.filename}" if error.filename is not None and not failed else ""
    return SystemFault("system.failed", f"{failed}{': ' if failed else ''}{error.strerror or error}{where}")


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


Outcome = Literal["done", "failed", "declined", "changes", "usage", "missing", "interrupted"]
"""How a command ended without an error of the tree. `changes`: with --detailed-exitcode; `missing`: from `doctor`;
`interrupted`: before all work was done."""

_OUTCOMES: dict[Outcome, int] = {
    "done": 0,
    "failed": 1,
    "declined": 1,
    "changes": 2,
    "usage": 3,
    "missing": 3,
    "interrupted": 1,
}


def exit_code(outcome: DStreamError | Outcome, *, was_running: bool = False, signal: int = 0) -> int:
    """Return the exit code of a process (docs/reference/cli.md#exit-codes). Nothing else decides it.

    `was_running`: both providers had been ready. `signal`: the one that interrupted the work, 0 for none.
    """
    if not isinstance(outcome, DStreamError):
        return 128 + signal if outcome == "interrupted" and signal else _OUTCOMES[outcome]
    if outcome.kind == "unreachable" and was_running:
        return 1
    return _EXIT_CODES[outcome.kind]

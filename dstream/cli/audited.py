"""The only way in which commands write the audit log: the intent before a change, its result after it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import click
import msgspec

import dstream
from dstream.audit import AuditedError, AuditEntry, AuditLog, origin
from dstream.config import Project
from dstream.errors import DStreamError, SystemFault
from dstream.redact import Redactor, environment_secrets

_INTERRUPTS = (KeyboardInterrupt, click.Abort)


class AuditedChange:
    """A change that a command is about to make; use it as a context manager around the change.

    Call `begin` after all confirmations and immediately before the change. Leaving the block writes the result: that of
    `end`, or what the block raised. Does nothing if no audit log is configured, or `begin` is not called.
    """

    def __init__(
        self, project: Project, command: str, tasks: Sequence[str], environ: Mapping[str, str] = os.environ
    ) -> None:
        path = _path(project, environ)
        self._log = AuditLog(path) if path else None
        self._project, self._environ = project, environ
        self._entry = AuditEntry(
            schema_version=1,
            time="",
            change=uuid.uuid4().hex,
            phase="intent",
            command=command,
            tasks=tuple(tasks),
            stack=project.stack,
            config=str(project.path.absolute()),
            origin=origin(environ),
            dstream=dstream.__version__,
            previous="",
        )
        self._has_begun = self._has_ended = self._is_interrupted = False
        self._details: Mapping[str, Any] = {}
        self._errors: tuple[AuditedError, ...] = ()

    def __enter__(self) -> AuditedChange:
        return self

    def begin(self, **details: Any) -> None:
        """Write the intent. Raises SystemFault `audit.unwritable`: the change must not happen then."""
        self._write("intent", details)
        self._has_begun = True

    def end(self, errors: Sequence[AuditedError] = (), *, is_interrupted: bool = False, **details: Any) -> None:
        """Set the result of the change; what the block raises afterwards no longer counts, such as a full stdout."""
        self._has_ended = True
        self._errors, self._is_interrupted, self._details = tuple(errors), is_interrupted, details

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raises SystemFault `audit.result_lost` if the result cannot be written. An error of the block stays, with
        the fact as a detail."""
        if not self._has_begun:
            return
        if not self._has_ended and error is not None:
            self._is_interrupted = isinstance(error, _INTERRUPTS)
            self._errors = () if self._is_interrupted else (AuditedError(_code(error)),)
        try:
            self._write("result", self._details)
        except SystemFault as unwritable:
            lost = f"the audit log has the intent, but not the result: {unwritable.message}"
            if isinstance(error, DStreamError):
                error.details = (*error.details, lost)
            elif error is None:
                what = " ".join(["dstream", self._entry.command, *self._entry.tasks])
                raise SystemFault(
                    "audit.result_lost",
                    f"`{what}` has ended, and {lost}",
                    hint="Do not repeat the command: its change was made as shown. Make the audit log writable.",
                ) from unwritable

    def _write(self, phase: Literal["intent", "result"], details: Mapping[str, Any]) -> None:
        if self._log is None:
            return
        details = _redactor(self._project, self._environ).value(dict(details))
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry = msgspec.structs.replace(self._entry, time=now, phase=phase, details=details)
        if phase == "result":
            outcome = "interrupted" if self._is_interrupted else "failed" if self._errors else "succeeded"
            entry = msgspec.structs.replace(entry, result=outcome, errors=self._errors)
        self._log.append(entry)


def _code(error: BaseException) -> str:
    return error.code if isinstance(error, DStreamError) else "system.crashed"


def _redactor(project: Project, environ: Mapping[str, str]) -> Redactor:
    blocks = [block for task in project.tasks.values() for block in task.providers]
    secrets = frozenset().union(*(block.secrets for block in blocks))
    secrets |= project.state.secrets | environment_secrets(environ)
    return Redactor(secrets, [block.config for block in blocks])


def _path(project: Project, environ: Mapping[str, str]) -> Path | None:
    """Return the log: that of the environment, else that of the file. An empty variable counts as unset."""
    if given := environ.get("DSTREAM_AUDIT_FILE"):
        return Path(given).expanduser().absolute()
    configured = project.settings.audit.file
    return project.folder / Path(configured).expanduser() if configured else None

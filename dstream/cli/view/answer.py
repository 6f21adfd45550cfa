"""The result of a lifecycle command for one task, and its JSON document."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from dstream.errors import DStreamError
from dstream.host import LifecycleOutcome
from dstream.protocol.lifecycle import ListedResource


@dataclass(frozen=True, slots=True)
class Answer:
    """The result for one task. `label`: the provider as written in the configuration."""

    task: str
    label: str
    elapsed_s: float = 0.0
    outcome: LifecycleOutcome | None = None
    error: DStreamError | None = None
    has_no_infrastructure: bool = False
    """The output manages no infrastructure, and the command accepts that."""
    ended_s: float = field(default_factory=time.monotonic)

    @property
    def is_interrupted(self) -> bool:
        return self.outcome is not None and self.outcome.is_interrupted

    @property
    def is_success(self) -> bool:
        return self.error is None and not self.is_interrupted

    @property
    def resources(self) -> Sequence[ListedResource]:
        return self.outcome.resources if self.outcome else ()

    @property
    def provider(self) -> str:
        return self.outcome.provider if self.outcome else self.label

    @property
    def message(self) -> str:
        return self.outcome.message if self.outcome else ""

    @property
    def where(self) -> str:
        return self.outcome.where if self.outcome else ""

    @property
    def heading(self) -> str:
        """'orders · servicebus → sb-retail (rg-retail)'"""
        return f"{self.task} · {self.provider}" + (f" → {self.where}" if self.where else "")

    @property
    def has_changes(self) -> bool:
        return any(resource.op != "same" for resource in self.resources)

    @property
    def may_change(self) -> bool:
        """Whether anything may change. A legacy provider may not list its resources."""
        return self.has_changes or (self.outcome is not None and self.outcome.is_legacy)

    @property
    def losing(self) -> Sequence[ListedResource]:
        """Resources whose data would be lost."""
        return [
            each for each in self.resources if each.op in ("replace", "delete") and (each.holds > 0 or each.confirm)
        ]

    @property
    def total_loss(self) -> int:
        """How much data would be lost. What a container holds includes that of the resources in it."""
        inside = sum(each.holds for each in self.losing if not each.confirm)
        return max([inside, *(each.holds for each in self.losing if each.confirm)])

    @property
    def to_confirm(self) -> Sequence[ListedResource]:
        """Resources whose name the user must type, because resources of others would be deleted with them."""
        return [each for each in self.losing if each.confirm]

    @property
    def removes(self) -> bool:
        """Whether it may delete something that a stream is using."""
        is_unknown = self.outcome is not None and self.outcome.is_legacy and not self.resources
        return is_unknown or any(each.op in ("replace", "delete") for each in self.resources)

    def document(self) -> dict[str, Any]:
        """The `--json` form (docs/reference/cli-json.md)."""
        outcome = self.outcome
        kinds = [each.op for each in self.resources if each.phase != "failed"]
        return {
            "task": self.task,
            "provider": self.provider,
            "status": "success" if self.is_success else "interrupted" if self.is_interrupted else "failed",
            "resources": msgspec.to_builtins(list(self.resources)),
            "summary": {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)},
            "outputs": dict(outcome.outputs or {}) if outcome else {},
            "diagnostics": [
                {"severity": each.severity, "message": each.message, "name": each.name}
                for each in (outcome.diagnostics if outcome else ())
            ],
            "where": self.where,
            "message": self.message,
            "error": error_document(self.error) if self.error else None,
        }


def error_document(error: DStreamError) -> dict[str, Any]:
    """Return the error as it appears in documents for scripts."""
    return {
        "code": error.code,
        **({"aliases": list(error.aliases)} if error.aliases else {}),
        "kind": error.kind,
        "message": error.message,
        "hint": error.hint,
        "place": str(error.place) if error.place else None,
    }

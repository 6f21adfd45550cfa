"""The health of this process's runs, from their events: the latest figures of each, and whether it is ready.

A task is ready while both of its providers are. If a provider dies or stays silent (60 s without a heartbeat), the task
is not ready until the new pair is. Runs report on their own threads and readers read on others; each value is replaced
as a whole, so no lock is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dstream.host import Progress

_STARTING = "starting"


@dataclass(frozen=True, slots=True)
class Readiness:
    """The health of all tasks; `reasons` explains each one that is not ready."""

    tasks: tuple[str, ...]
    reasons: Mapping[str, str]

    @property
    def is_ready(self) -> bool:
        return not self.reasons

    def document(self) -> dict[str, Any]:
        """The document that /readyz returns."""
        return {
            "schema_version": 1,
            "ready": self.is_ready,
            "tasks": {
                task: {"ready": task not in self.reasons, "reason": self.reasons.get(task, "")} for task in self.tasks
            },
        }


class TaskWatch:
    """One run's health, from its events (the host's `Events`), which are already redacted."""

    def __init__(self) -> None:
        self.reason = _STARTING
        """Why it is not ready; empty if it is."""
        self.progress_now = Progress()
        self.most_rows_relayed = 0
        """The highest count so far. A new pair starts counting at zero, but this never decreases."""

    def log(self, level: str, event: str, **fields: Any) -> None:
        if event in ("run.started", "run.restarted"):
            self.reason = ""
        elif event == "run.restarting":
            self.reason = f"restarting after {fields['code']}: {fields['message']}"
        elif event == "run.failed":
            self.reason = f"failed with {fields['code']}: {fields['message']}"
        elif event == "run.finished":
            self.reason = "finished"

    def progress(self, progress: Progress) -> None:
        self.most_rows_relayed = max(self.most_rows_relayed, progress.rows_relayed)
        self.progress_now = progress


class RunsWatch:
    """All runs of this process, by task."""

    def __init__(self, tasks: Iterable[str]) -> None:
        self.tasks = {task: TaskWatch() for task in tasks}

    def of(self, task: str) -> TaskWatch:
        return self.tasks[task]

    def readiness(self) -> Readiness:
        reasons = {task: watch.reason for task, watch in self.tasks.items()}
        return Readiness(tuple(reasons), {task: reason for task, reason in reasons.items() if reason})

"""The health of this process's runs: the latest figures of each, and whether it is ready.

The host decides the condition of a task (`Condition`); this only keeps the newest. Runs report on their own threads and
readers read on others; each value is replaced as a whole, so no lock is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dstream.host import Condition, Progress


@dataclass(frozen=True, slots=True)
class Readiness:
    """The health of all tasks."""

    conditions: Mapping[str, Condition]

    @property
    def is_ready(self) -> bool:
        return all(condition.is_ready for condition in self.conditions.values())

    def document(self) -> dict[str, Any]:
        """The document that /readyz returns. A task's `reason` is empty while it is streaming."""
        return {
            "schema_version": 1,
            "ready": self.is_ready,
            "tasks": {
                task: {
                    "ready": condition.is_ready,
                    "phase": condition.phase,
                    "reason": "" if condition.phase == "streaming" else condition.text(),
                }
                for task, condition in self.conditions.items()
            },
        }


class TaskWatch:
    """One run's health, from its events (the host's `Events`), which are already redacted."""

    def __init__(self) -> None:
        self.progress_now = Progress()
        self.most_rows_relayed = 0
        """The highest count so far. A new pair starts counting at zero, but this never decreases."""

    @property
    def condition(self) -> Condition:
        return self.progress_now.condition

    def log(self, level: str, event: str, /, **fields: Any) -> None:
        """Ignore the log: the figures include the condition."""

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
        return Readiness({task: watch.condition for task, watch in self.tasks.items()})

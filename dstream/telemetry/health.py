"""What the runs of a process are at, heard from their events: the latest figures of each, and whether it is ready.

A task is ready while both its providers are. A provider that dies or falls silent (60 s without a heartbeat) takes its
task out until the new pair is ready. Runs tell from their own threads, readers ask from others: each value is replaced
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
    """Of all tasks: `reasons` says for each one that is not ready why."""

    tasks: tuple[str, ...]
    reasons: Mapping[str, str]

    @property
    def is_ready(self) -> bool:
        return not self.reasons

    def document(self) -> dict[str, Any]:
        """As /readyz shows it."""
        return {
            "schema_version": 1,
            "ready": self.is_ready,
            "tasks": {
                task: {"ready": task not in self.reasons, "reason": self.reasons.get(task, "")} for task in self.tasks
            },
        }


class TaskWatch:
    """One run, as it tells of itself (the host's `Events`); what comes here is redacted already."""

    def __init__(self) -> None:
        self.reason = _STARTING
        """Why it is not ready; empty when it is."""
        self.progress_now = Progress()
        self.most_rows_relayed = 0
        """A new pair begins where the last one's settled rows end: that figure goes back, this one never does."""

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

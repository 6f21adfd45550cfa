"""The health of this process's runs: the latest figures of each, and whether it is ready.

The host decides the condition of a task (`Condition`); this only keeps the newest. Runs report on their own threads and
readers read on others; each value is replaced as a whole, so no lock is needed.

The metrics, the live view and the page all read their figures here, so they cannot disagree.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dstream.host import Condition, Progress
from dstream.telemetry.history import History, Sample
from dstream.telemetry.log import event_text

_NOTICES = 5
_FAILURES = ("run.restarting", "run.failed")


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


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning or an error of the log, with its fields as text, which is redacted but not escaped."""

    at: datetime
    level: str
    text: str


class TaskWatch:
    """One run's health, from its events (the host's `Events`), which are already redacted."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._updated_s: float | None = None
        self.started_s = clock()
        self.ended_s: float | None = None
        self.progress_now = Progress()
        self.most_rows_relayed = 0
        """The highest count so far. A new pair starts counting at zero, but this never decreases."""
        self.throttled_s = 0.0
        """How long the task has been in the phase `throttled`."""
        self.checkpoint_s: float | None = None
        """When a checkpoint was last seen to be stored."""
        self.providers: tuple[str, str] | None = None
        """The names of input and output, once the run has started."""
        self.last_error = ""
        """Why the providers last failed: code and message."""
        self.notices: tuple[Notice, ...] = ()
        """The last warnings and errors, oldest first."""
        self.history = History()

    @property
    def condition(self) -> Condition:
        return self.progress_now.condition

    @property
    def rows_in_flight(self) -> int:
        return self.progress_now.rows_relayed - self.progress_now.rows_settled

    def log(self, level: str, event: str, /, **fields: Any) -> None:
        if event == "run.started":
            self.providers = str(fields["input"]), str(fields["output"])
        if event in _FAILURES:
            self.last_error = f"{fields['code']}: {fields['message']}"
        if level in ("warning", "error"):
            fields.pop("task", None)
            notice = Notice(datetime.now(UTC), level, event_text(event, fields))
            self.notices = (*self.notices, notice)[-_NOTICES:]

    def progress(self, progress: Progress) -> None:
        now_s, before = self._clock(), self.progress_now
        self.most_rows_relayed = max(self.most_rows_relayed, progress.rows_relayed)
        if before.condition.phase == "throttled" and self._updated_s is not None:
            self.throttled_s += now_s - self._updated_s
        if progress.checkpoints_stored > before.checkpoints_stored:
            self.checkpoint_s = now_s
        has_ended = progress.condition.phase in ("failed", "finished")
        self.ended_s = now_s if has_ended else None
        self.progress_now, self._updated_s = progress, now_s
        self.history.add(self._sample(now_s))

    def rows_by_table(self) -> dict[str, float]:
        """Return the rows read per table, from the input's counter `rows_read` with the label `table`."""
        rows: dict[str, float] = {}
        for each in self.progress_now.metrics:
            table = dict(each.labels).get("table")
            if table is not None and (each.role, each.name, each.kind) == ("input", "rows_read", "counter"):
                rows[table] = rows.get(table, 0.0) + each.value
        return rows

    def retries(self) -> float:
        """Return how often the providers have retried: the sum of their counters named `.._retries`."""
        counters = (each for each in self.progress_now.metrics if each.kind == "counter")
        return sum(each.value for each in counters if each.name.endswith("_retries"))

    def _sample(self, now_s: float) -> Sample:
        progress = self.progress_now
        return Sample(
            now_s,
            self.most_rows_relayed,
            progress.rows_settled,
            progress.bytes_relayed,
            self.rows_in_flight,
            self.throttled_s,
            progress.lag_ms,
            self.rows_by_table(),
        )


class RunsWatch:
    """All runs of this process, by task."""

    def __init__(self, tasks: Iterable[str], clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.started_s = clock()
        self.tasks = {task: TaskWatch(clock) for task in tasks}

    def of(self, task: str) -> TaskWatch:
        return self.tasks[task]

    def begin(self, task: str) -> TaskWatch:
        """Return a new watch for the task's next run, whose figures start at 0."""
        watch = TaskWatch(self.clock)
        self.tasks = {**self.tasks, task: watch}
        return watch

    def keep(self, tasks: Collection[str]) -> None:
        """Forget the tasks that are not among these."""
        self.tasks = {task: watch for task, watch in self.tasks.items() if task in tasks}

    def readiness(self) -> Readiness:
        return Readiness({task: watch.condition for task, watch in self.tasks.items()})

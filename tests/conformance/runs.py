"""Builds and runs jobs of scripted providers."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dstream.errors import SourceLocation
from dstream.host import Job, Progress, ProviderSpec, RestartPolicy, RunSummary, StopRequest, run_task
from dstream.host.run import attempt, pair, streaming
from dstream.state import StateLocation

if TYPE_CHECKING:
    import pytest

PROVIDERS = Path(__file__).parent / "providers"
TASK = "orders"


@dataclass
class Recorded:
    """Records the events of a run."""

    events: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    last_progress: Progress = field(default_factory=Progress)
    told: list[Progress] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def log(self, level: str, event: str, /, **fields: Any) -> None:
        with self.changed:
            self.events.append((level, event, fields))
            self.changed.notify_all()

    def progress(self, progress: Progress) -> None:
        with self.changed:
            self.last_progress = progress
            self.told.append(progress)
            self.changed.notify_all()

    def named(self, event: str) -> list[dict[str, Any]]:
        return [fields for _, name, fields in list(self.events) if name == event]

    def wait_for(self, event: str, timeout_s: float = 60.0) -> dict[str, Any]:
        with self.changed:
            assert self.changed.wait_for(lambda: self.named(event), timeout_s), f"no {event}: {self.events}"
            return self.named(event)[0]

    def wait_for_progress(self, reached: Any, timeout_s: float = 60.0) -> Progress:
        with self.changed:
            assert self.changed.wait_for(lambda: reached(self.last_progress), timeout_s), self.last_progress
            return self.last_progress

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, timeout_s), self.events[-5:]

    def text(self) -> str:
        return repr(self.events)


def script(name: str, *arguments: str) -> list[str]:
    # -S skips site-packages: the interpreter starts four times as fast.
    return [sys.executable, "-S", "-E", str(PROVIDERS / name), *arguments]


def provider(name: str, line: int, /, **config: Any) -> ProviderSpec:
    role = "input" if name == "input.py" else "output"
    block = f'task "{TASK}", {role} block'
    return ProviderSpec(
        argv=script(name),
        config=config,
        label=name.removesuffix(".py"),
        place=SourceLocation("dstream.hcl", line, block=block),
        place_of=lambda path: SourceLocation("dstream.hcl", line + 2, 7, block=block) if path == "tables[0]" else None,
    )


def job(folder: Path, **changes: Any) -> Job:
    plain = Job(
        task=TASK,
        run_id="run-1",
        input=provider("input.py", 3),
        output=provider("output.py", 12, sink=str(folder / "sink")),
        state=StateLocation("dev", folder / "state"),
        start_timeout_s=60.0,
        drain_deadline_s=30.0,
        exit_grace_s=2.0,
        progress_every_s=0.05,
        restart=RestartPolicy(max_attempts=0),
    )
    return replace(plain, **changes)


def sink_numbers(folder: Path) -> list[int]:
    """The numbers of the rows that reached the sink."""
    return [json.loads(line)["data"]["n"] for line in (folder / "sink").read_text().splitlines()]


def stored_state(folder: Path) -> dict[str, Any] | None:
    """The state document on disk, read without the product's own reader."""
    path = folder / "state" / "dev" / f"{TASK}.json"
    return json.loads(path.read_text()) if path.exists() else None


def run(the_job: Job, events: Recorded | None = None, stop: StopRequest | None = None) -> RunSummary:
    return run_task(the_job, events=events or Recorded(), stop=stop or StopRequest())


def lose_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the host's waits for a provider that does not exit after all signs of its end."""
    for module in (attempt, pair, streaming):
        monkeypatch.setattr(module, "LAST_WORDS_S", 0.3)
    monkeypatch.setattr(pair, "ORPHANED_S", 0.3)


class Background:
    """A run in its own thread, as in `dstream run --all`."""

    def __init__(
        self, the_job: Job, clock: Callable[[], float] = time.monotonic, events: Recorded | None = None
    ) -> None:
        self._clock = clock
        self.events = events or Recorded()
        self.stop = StopRequest()
        self._result: RunSummary | BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(the_job,))
        self._thread.start()

    def result(self, timeout_s: float = 20.0) -> RunSummary:
        self._thread.join(timeout_s)
        assert not self._thread.is_alive(), "the run did not end"
        if isinstance(self._result, BaseException):
            raise self._result
        assert self._result is not None
        return self._result

    def _run(self, the_job: Job) -> None:
        try:
            self._result = run_task(the_job, events=self.events, stop=self.stop, clock=self._clock)
        except BaseException as error:  # noqa: BLE001  # raised again by result()
            self._result = error

"""SIGHUP: a run without a terminal reads its configuration again, and restarts what has changed. Real processes."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running import DStream, RunningCommand, wait_until

TASK = (
    'task "%s" {\n  input {\n    provider = "counter"\n    config { interval = "%s" }\n  }\n'
    '  output {\n    provider = "console"\n    config {}\n  }\n}\n'
)


class Project:
    """Tasks from counter to console, with their intervals, and a run of all of them."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "dstream.hcl"
        self.write(a="20ms", b="20ms")
        self.dstream = DStream(folder)
        self.run: RunningCommand

    def write(self, **intervals: str) -> None:
        self._file.write_text("".join(TASK % each for each in intervals.items()))

    def edit(self, old: str, new: str) -> None:
        self._file.write_text(self._file.read_text().replace(old, new, 1))

    def hang_up(self) -> None:
        self.run.process.send_signal(signal.SIGHUP)

    def events(self, name: str, **fields: Any) -> list[dict[str, Any]]:
        lines = [
            json.loads(line) for line in self.run.stderr.splitlines() if line.startswith("{") and line.endswith("}")
        ]
        return [each for each in lines if each["event"] == name and fields.items() <= each.items()]

    def wait(self, name: str, *, count: int = 1, **fields: Any) -> None:
        wait_until(lambda: len(self.events(name, **fields)) >= count, f"{name} {fields}:\n{self.run.stderr[-2000:]}")

    def starts(self) -> dict[str, int]:
        tasks = [each["task"] for each in self.events("run.started")]
        return {task: tasks.count(task) for task in tasks}

    def rows(self, task: str) -> list[int]:
        """The values that the console has shown, in their order."""
        shown = [each["message"] for each in self.events("provider.log", task=task, provider="console")]
        return [json.loads(text)["data"]["value"] for text in shown if text.startswith('{"data"')]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    with project.dstream.running("run", "--all", "--log-format", "json", new_session=True) as run:
        project.run = run
        for task in ("a", "b"):
            project.wait("run.started", task=task)
        yield project


def test_a_changed_task_is_drained_and_restarted_and_the_others_are_not_touched(project: Project) -> None:
    wait_until(lambda: project.rows("a"), "rows")
    project.write(a="5ms", b="20ms")
    project.hang_up()
    project.wait("run.started", task="a", count=2)
    (drained,) = project.events("run.finished", task="a")
    assert drained["drained"]
    before = len(project.rows("a"))
    wait_until(lambda: len(project.rows("a")) > before + 5, "rows after the restart")
    rows = project.rows("a")
    assert rows == list(range(rows[0], rows[0] + len(rows))), "nothing is lost or repeated"
    assert project.starts() == {"a": 2, "b": 1}
    assert not project.events("run.finished", task="b")
    project.run.process.send_signal(signal.SIGTERM)
    assert project.run.ended() == 0, project.run.stderr


def test_a_bad_configuration_is_reported_and_changes_nothing(project: Project) -> None:
    project.write(a="soon", b="20ms", c="20ms")  # only the provider knows that this is no interval
    project.hang_up()
    project.wait("config.refused")
    assert "soon" in project.run.stderr
    assert "dstream.hcl:" in project.run.stderr
    project.write(a="20ms", b="20ms")
    project.edit('provider = "console"', f'provider_path = "{"x" * 300}"')  # the system refuses such a path
    project.hang_up()
    project.wait("config.refused", code="system.failed")
    rows = len(project.rows("a"))
    wait_until(lambda: len(project.rows("a")) > rows, "rows still flow")
    assert project.starts() == {"a": 1, "b": 1}
    assert not project.events("run.finished")


def test_tasks_that_are_removed_end_and_new_ones_start(project: Project) -> None:
    project.write(b="20ms", c="20ms")
    project.hang_up()
    project.wait("run.started", task="c")
    project.wait("run.finished", task="a")
    assert project.starts() == {"a": 1, "b": 1, "c": 1}
    assert not project.events("run.finished", task="b")


def test_a_task_that_failed_starts_once_its_configuration_is_corrected(tmp_path: Path) -> None:
    project = Project(tmp_path)
    right = (tmp_path / "dstream.hcl").read_text()
    (tmp_path / "broken").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "broken").chmod(0o755)
    (tmp_path / "dstream.hcl").write_text(right.replace('provider = "counter"', 'provider_path = "./broken"', 1))
    with project.dstream.running("run", "--all", "--no-restart", "--log-format", "json", new_session=True) as run:
        project.run = run
        project.wait("run.failed", task="a")
        project.wait("run.started", task="b")
        (tmp_path / "dstream.hcl").write_text(right)
        project.hang_up()
        project.wait("run.started", task="a")
        run.process.send_signal(signal.SIGTERM)
        assert run.ended() == 0, "the failure that was corrected no longer counts"
    assert project.starts() == {"a": 1, "b": 1}

"""Repeated lifecycle commands in one folder, with providers that are slow, fail or are killed in between."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.conformance.commands import QUEUES, Place, ended, wait_until

SHOWN = re.compile(r" *(✓ queue  (orders|returns) +(created|updated|deleted) +\d+\.\ds|! queue  (orders|returns) .*)")
EMPTY = {"recorded": {}, "real": {}}


@pytest.mark.parametrize("rounds", [1, pytest.param(12, marks=pytest.mark.soak)])
def test_init_resumes_whatever_happened_to_the_previous_command(rounds: int, tmp_path: Path) -> None:
    """Each round runs 17 commands."""
    place = Place(tmp_path)
    for _ in range(rounds):
        for disturb in (plan_only, slow_init, failed_init, killed_init):
            disturb(place)
            place.queues()
            for command in (["init", "t", "--yes"], ["status", "t"], ["destroy", "t", "--yes"]):
                assert clean(place.dstream(*command)) == 0
            assert {key: place.world[key] for key in EMPTY} == EMPTY
            assert providers_in(tmp_path) == []


def plan_only(place: Place) -> None:
    place.queues()
    assert clean(place.dstream("plan", "t")) == 0


def slow_init(place: Place) -> None:
    place.queues(slow={"plan": "50ms", "init:orders": "50ms"})
    assert clean(place.dstream("init", "t", "--yes")) == 0


def failed_init(place: Place) -> None:
    place.queues(fail={"init:returns": "transient"})
    assert clean(place.dstream("init", "t", "--yes")) == 1
    assert place.world["recorded"] == {"orders": QUEUES["orders"]}


def killed_init(place: Place) -> None:
    place.queues(slow={"init:returns": "1h"})
    process = place.start("init", "t", "--yes")
    wait_until(lambda: "orders" in place.world["recorded"], "the first resource")
    (provider,) = providers_in(place.folder)
    provider.kill()
    returned, stdout, stderr = ended(process)
    assert clean(subprocess.CompletedProcess(process.args, returned, stdout, stderr)) == 1
    assert "was killed by SIGKILL without a result for init" in stderr


def clean(done: subprocess.CompletedProcess[str]) -> int:
    """The exit code of a command, after checking that stderr has only progress and, if it failed, one error."""
    stderr_lines = [line for line in done.stderr.splitlines() if line]
    errors = [number for number, line in enumerate(stderr_lines) if line.startswith("Error: ")]
    assert len(errors) == bool(done.returncode), done.stderr
    progress, error = (stderr_lines[: errors[0]], stderr_lines[errors[0] + 1 :]) if errors else (stderr_lines, [])
    stray = [line for line in progress if not SHOWN.fullmatch(line)]
    stray += [line for line in error if not line.startswith("  ")]
    assert stray == [], done.stderr
    assert not re.search(r"(?i)pipe|traceback", done.stderr)
    return done.returncode


def providers_in(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if "test_infrastructure" in " ".join(process.cmdline()) and process.cwd() == str(folder):
                found.append(process)
        except psutil.Error:  # it has exited, or belongs to another user
            continue
    return found

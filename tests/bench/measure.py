"""Samples of the arms, and how they compare."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Sample:
    """One timed piece of work, in seconds and MiB. `stand_in_cpu_s` is the CPU time of the stand-ins."""

    rows: int
    wall_s: float
    cpu_s: float = 0.0
    rss_mib: float = 0.0
    stand_in_cpu_s: float = 0.0

    @property
    def rows_s(self) -> float:
        return self.rows / self.wall_s


Run = Callable[[], Sample]


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to do the work."""

    name: str
    run: Run


@dataclass(slots=True)
class Result:
    """All samples of one subject. The first arm is the baseline and runs twice per round (the A/A control)."""

    subject: str
    baseline: str
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    control: list[Sample] = field(default_factory=list)
    aims: Mapping[str, float] = field(default_factory=dict)
    """The lowest acceptable ratio to the baseline, per arm."""
    note: str = ""

    def ratio(self, arm: str) -> float:
        """The arm's median rate divided by the baseline's."""
        return self.rate(arm) / self.rate(self.baseline)

    def rate(self, arm: str) -> float:
        return statistics.median(sample.rows_s for sample in self.samples[arm])

    @property
    def noise(self) -> float:
        """The ratio of the baseline's two series; 1.0 means no difference."""
        twin = statistics.median(sample.rows_s for sample in self.control)
        return twin / self.rate(self.baseline)


def compare(
    subject: str, arms: Sequence[Arm], *, rounds: int, aims: Mapping[str, float] | None = None, note: str = ""
) -> Result:
    """Run the arms in turn for `rounds` rounds, after one round that is discarded."""
    baseline = arms[0]
    result = Result(subject, baseline.name, {arm.name: [] for arm in arms}, aims=aims or {}, note=note)
    for number in range(rounds + 1):
        for arm in [*arms, Arm("", baseline.run)]:
            sample = arm.run()
            if number == 0:
                continue
            (result.samples[arm.name] if arm.name else result.control).append(sample)
    return result


class Watched:
    """Measures the CPU time of other processes (the stand-ins)."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._processes = [psutil.Process(pid) for pid in pids]

    def cpu_s(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self._processes)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process used from start to exit: CPU including its children, its own peak RSS, and its stdout."""

    wall_s: float
    cpu_s: float
    rss_mib: float
    stand_in_cpu_s: float
    stdout: bytes


def used_by(
    command: Sequence[str],
    *,
    stand_ins: Watched | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
) -> Usage:
    """Run the command to completion. Raises RuntimeError with its stderr if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "used.json"
        launcher = [sys.executable, "-I", "-S", str(Path(__file__).parent / "launcher.py"), str(figures)]
        before = stand_ins.cpu_s() if stand_ins else 0.0
        done = subprocess.run(
            [*launcher, *command], stdin=subprocess.DEVNULL, capture_output=True, env=env, cwd=cwd, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{command} exited with {done.returncode}:\n{done.stderr.decode()[-2000:]}")
        used = json.loads(figures.read_text())
    stand_in_cpu_s = stand_ins.cpu_s() - before if stand_ins else 0.0
    return Usage(used["wall_s"], used["cpu_s"], used["rss_mib"], stand_in_cpu_s, done.stdout)

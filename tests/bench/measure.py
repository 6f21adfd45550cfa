"""Samples of arms, and what is said of them."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import psutil


@dataclass(frozen=True, slots=True)
class Sample:
    """One timed piece of work. Seconds; MiB; `stand_in_cpu_s` is the servers' share."""

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
    """A way to do the work."""

    name: str
    run: Run


@dataclass(slots=True)
class Result:
    """All samples of one subject; the first arm is the baseline, and runs twice a round (the A/A control)."""

    subject: str
    baseline: str
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    control: list[Sample] = field(default_factory=list)
    aims: Mapping[str, float] = field(default_factory=dict)
    """Least ratio to the baseline that the arm is meant to reach."""
    note: str = ""

    def ratio(self, arm: str) -> float:
        """Of the median rates, to the baseline's."""
        return self.rate(arm) / self.rate(self.baseline)

    def rate(self, arm: str) -> float:
        return statistics.median(sample.rows_s for sample in self.samples[arm])

    @property
    def noise(self) -> float:
        """How far the baseline's two series are apart, as a ratio: 1.0 is no difference."""
        twin = statistics.median(sample.rows_s for sample in self.control)
        return twin / self.rate(self.baseline)


def compare(
    subject: str, arms: Sequence[Arm], *, rounds: int, aims: Mapping[str, float] | None = None, note: str = ""
) -> Result:
    """Run the arms in turn, `rounds` times, after one round that is thrown away."""
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
    """CPU of other processes (the stand-ins) over a piece of work."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._processes = [psutil.Process(pid) for pid in pids]

    def cpu_s(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self._processes)


def timed(
    command: Sequence[str],
    *,
    rows: int,
    stdin: int | None = None,
    stdout: int | None = None,
    stand_ins: Watched | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
) -> Sample:
    """A process from start to end, with its CPU and peak RSS (children included in CPU, not in RSS)."""
    before = stand_ins.cpu_s() if stand_ins else 0.0
    started = time.perf_counter()
    process = subprocess.Popen(list(command), stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, env=env, cwd=cwd)
    assert process.stderr
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise RuntimeError(f"{command} exited with {process.returncode}:\n{errors.decode()[-2000:]}")
    stand_in_cpu_s = stand_ins.cpu_s() - before if stand_ins else 0.0
    return Sample(rows, wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, stand_in_cpu_s)

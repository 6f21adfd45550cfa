"""Prints results as tables and saves them as JSON for later comparison."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.measure import Result, Sample

FOLDER = Path("bench-results")


def show(result: Result) -> str:
    """The arms of a subject, one per line."""
    lines = [f"\n{result.subject}   (A/A control: {result.noise:.2f}x)"]
    for name, samples in result.samples.items():
        rates = [sample.rows_s for sample in samples]
        spread = f"{_rate(min(rates))} .. {_rate(max(rates))}"
        cost = f"{_median(samples, 'cpu_s'):.2f} s cpu, {_median(samples, 'rss_mib'):.0f} MiB"
        stand_ins = f", stand-ins {_median(samples, 'stand_in_cpu_s'):.2f} s"
        aim = f"   aim {result.aims[name]:g}x" if name in result.aims else ""
        lines.append(
            f"  {name:<34} {_rate(statistics.median(rates)):>11}/s {spread:>24} {result.ratio(name):>6.2f}x"
            f"   {cost}{stand_ins if _median(samples, 'stand_in_cpu_s') else ''}{aim}"
        )
    if result.note:
        lines.append(f"  {result.note}")
    return "\n".join(lines)


def save(results: Sequence[Result]) -> Path:
    """Write the results to a file in bench-results/, named after the time."""
    FOLDER.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    path = FOLDER / f"{now:%Y%m%dT%H%M%SZ}.json"
    machine = {"python": platform.python_version(), "system": platform.system(), "cores": os.cpu_count()}
    document = {"at": now.isoformat(), "machine": machine, "results": [asdict(result) for result in results]}
    path.write_text(json.dumps(document, indent=1))
    return path


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:,.3g}"


def _median(samples: Sequence[Sample], name: str) -> float:
    return statistics.median(getattr(sample, name) for sample in samples)

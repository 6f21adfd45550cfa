"""All metrics of this process as families, for every format that they are exported in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from dstream.host import MetricValue
from dstream.telemetry.health import RunsWatch
from dstream.telemetry.host_metrics import HOST_METRICS

_NO_NAME = re.compile(r"[^a-zA-Z0-9_]")
_OWN_LABELS = ("task", "role")


class FamilySample(NamedTuple):
    suffix: str
    """`_sum` or `_count` of a summary, otherwise empty."""
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with all its samples. A summary has no quantiles."""

    name: str
    """Without the suffix `_total` of a counter."""
    kind: Literal["counter", "gauge", "summary"]
    unit: str
    """As in docs/operations/metrics.md; empty if unknown."""
    meaning: str
    samples: list[FamilySample] = field(default_factory=list)


def families(runs: RunsWatch) -> list[Family]:
    """Return the latest figures of all tasks: the host's own metrics, then those that providers have reported."""
    watches = list(runs.tasks.items())
    own = [
        Family(
            metric.name.removesuffix("_total"),
            metric.kind,
            metric.unit,
            metric.meaning,
            [
                FamilySample("", {"task": task, **({metric.by: by} if metric.by else {})}, value)
                for task, watch in watches
                for by, value in metric.samples(watch).items()
            ],
        )
        for metric in HOST_METRICS
    ]
    reported: dict[tuple[str, str], Family] = {}
    for task, watch in watches:
        for value in watch.progress_now.metrics:
            _add(reported, task, value)
    return [*own, *reported.values()]


def _add(found: dict[tuple[str, str], Family], task: str, value: MetricValue) -> None:
    """Add a provider's metric. A histogram becomes a summary without quantiles, since only sum and count are known. If
    two providers use a name for different kinds, the kind becomes part of the name, since a family has one kind."""
    name = "dstream_provider_" + _NO_NAME.sub("_", value.name).removesuffix("_total")
    kind: Literal["counter", "gauge", "summary"] = (
        "counter" if value.kind == "counter" else "gauge" if value.kind == "gauge" else "summary"
    )
    if (name, kind) not in found:
        is_taken = any(of_name == name for of_name, _ in found)
        shown = f"{name}_{kind}" if is_taken else name
        found[name, kind] = Family(shown, kind, "", "A metric of the provider.")
    samples = found[name, kind].samples
    labels = {"task": task, "role": value.role, **{_label(name): text for name, text in value.labels}}
    if kind == "summary":
        samples.append(FamilySample("_sum", labels, value.value))
        samples.append(FamilySample("_count", labels, value.count))
    else:
        samples.append(FamilySample("", labels, value.value))


def _label(name: str) -> str:
    """Return a valid Prometheus label name: letters, digits and _, not starting with a digit. A name that DStream or
    Prometheus reserves gets a prefix."""
    name = _NO_NAME.sub("_", name)
    if name in _OWN_LABELS or name.startswith("__"):
        return f"provider_{name.lstrip('_')}"
    return f"_{name}" if name[:1].isdigit() or not name else name

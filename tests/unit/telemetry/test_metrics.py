"""The text of /metrics, parsed with the Prometheus client, and its documentation."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from dstream.host import CONDITION_PHASES, Condition, MetricValue, Progress
from dstream.telemetry.health import RunsWatch
from dstream.telemetry.host_metrics import HOST_METRICS
from dstream.telemetry.metrics import render

DOCS = Path(__file__).parents[3] / "docs" / "operations" / "metrics.md"


def runs(progress: Progress, *, task: str = "orders") -> RunsWatch:
    watched = RunsWatch([task])
    watched.of(task).progress(progress)
    return watched


def samples(watched: RunsWatch) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    found = [
        ((sample.name, tuple(sorted(sample.labels.items()))), sample.value)
        for family in text_string_to_metric_families(render(watched).decode())
        for sample in family.samples
    ]
    assert len(dict(found)) == len(found), "duplicate sample"
    return dict(found)


def reported(name: str, kind: str, value: float, *, count: int = 1, **labels: str) -> MetricValue:
    return MetricValue("input", name, kind, tuple(sorted(labels.items())), value, count)


def test_every_host_metric_has_the_value_of_the_run() -> None:
    progress = Progress(
        rows_relayed=120,
        rows_settled=100,
        rows_rejected=3,
        bytes_relayed=4096,
        checkpoints_stored=7,
        store_s=0.25,
        checkpoints_in_flight=2,
        holds_lease=True,
        condition=Condition("throttled", "why", is_ready=True),
        lag_ms=1500,
        restarts=1,
    )
    every = samples(runs(progress))
    found = {name: value for (name, _), value in every.items() if name != "dstream_task_condition"}
    assert found == {
        "dstream_rows_relayed_total": 120,
        "dstream_rows_settled_total": 100,
        "dstream_rows_rejected_total": 3,
        "dstream_bytes_relayed_total": 4096,
        "dstream_checkpoints_stored_total": 7,
        "dstream_store_seconds_total": 0.25,
        "dstream_restarts_total": 1,
        "dstream_throttled_seconds_total": 0,
        "dstream_rows_in_flight": 20,
        "dstream_checkpoints_in_flight": 2,
        "dstream_lag_seconds": 1.5,
        "dstream_lease_held": 1,
        "dstream_task_ready": 1,
    }
    phases = {dict(labels)["phase"]: value for (name, labels), value in every.items() if "phase" in dict(labels)}
    assert phases == {**dict.fromkeys(CONDITION_PHASES, 0), "throttled": 1}
    assert {*found, "dstream_task_condition"} == {metric.name for metric in HOST_METRICS}


def test_no_run_that_is_over_holds_its_lease() -> None:
    for phase, held in {"standby": 0, "streaming": 1, "failed": 0, "finished": 0}.items():
        progress = Progress(holds_lease=phase != "standby", condition=Condition(phase))
        assert samples(runs(progress))["dstream_lease_held", (("task", "orders"),)] == held


def test_lag_is_absent_until_first_reported() -> None:
    assert not [name for name, _ in samples(runs(Progress())) if name == "dstream_lag_seconds"]


def test_each_task_has_its_own_samples() -> None:
    both = RunsWatch(["a", 'b "quoted"'])
    both.of("a").progress(Progress(rows_settled=1))
    found = samples(both)
    assert found["dstream_rows_settled_total", (("task", "a"),)] == 1
    assert found["dstream_rows_settled_total", (("task", 'b "quoted"'),)] == 0


def test_provider_metrics_have_its_role_and_labels() -> None:
    metrics = (
        reported("rows_read", "counter", 5, table="dbo.A"),
        reported("rows_read", "counter", 7, table="dbo.B"),
        reported("open.links", "gauge", 2),
        reported("batch_seconds", "histogram", 4.5, count=9),
    )
    found = samples(runs(Progress(metrics=metrics)))
    own = (("role", "input"), ("task", "orders"))
    assert found["dstream_provider_rows_read_total", (own[0], ("table", "dbo.A"), own[1])] == 5
    assert found["dstream_provider_rows_read_total", (own[0], ("table", "dbo.B"), own[1])] == 7
    assert found["dstream_provider_open_links", own] == 2
    assert found["dstream_provider_batch_seconds_sum", own] == 4.5
    assert found["dstream_provider_batch_seconds_count", own] == 9


def test_provider_metric_names_cannot_break_the_page() -> None:
    metrics = (
        reported("x", "gauge", 1),
        reported("x", "histogram", 2),
        reported("é x\n", "counter", 3, **{"task": "mine", "__name__": "y", "1st": "z", "with-dash": 'a"b\\c\nd'}),
        reported("", "gauge", float("nan")),
    )
    found = samples(runs(Progress(metrics=metrics)))
    own = (("role", "input"), ("task", "orders"))
    assert found["dstream_provider_x", own] == 1
    assert found["dstream_provider_x_summary_sum", own] == 2
    (labels,) = [dict(labels) for name, labels in found if name == "dstream_provider___x__total"]
    assert labels == {
        "task": "orders",
        "role": "input",
        "provider_task": "mine",
        "provider_name__": "y",
        "_1st": "z",
        "with_dash": 'a"b\\c\nd',
    }


def test_the_global_registry_is_not_used() -> None:
    render(runs(Progress()))
    assert not [family for family in REGISTRY.collect() if family.name.startswith("dstream")]


def test_the_documentation_lists_every_metric() -> None:
    rows = re.findall(r"^\| `(dstream_[a-z_]+)` \| (\w+) \| ([^|]+) \| ([^|]+) \|$", DOCS.read_text(), re.MULTILINE)
    assert rows == [(metric.name, metric.kind, metric.unit, metric.meaning) for metric in HOST_METRICS]

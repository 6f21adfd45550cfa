"""The condition of a run, from the host's stage and the providers' heartbeats."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dstream.host.run.condition import Condition, ConditionTracker, Phase, Stage, condition_of

NAMES: Any = {"input": "mssql_cdc", "output": "servicebus"}
LOST = Phase("reconnecting", reason="db1: connection refused")
BUSY = Phase("throttled", reason="server busy")


def condition(stage: Stage = "streaming", *, is_blocked: bool = False, **reported: Phase) -> Condition:
    return condition_of(stage, "", reported, NAMES, is_blocked=is_blocked)  # type: ignore[arg-type]  # roles as names


@pytest.mark.parametrize("phase", ["snapshot", "stream", "idle", "a phase of a later version"])
def test_a_pair_that_reports_no_trouble_is_streaming(phase: str) -> None:
    assert condition(input=Phase(phase), output=Phase("stream")) == Condition("streaming", is_ready=True)


def test_a_provider_that_reconnects_makes_the_task_unready_and_is_named() -> None:
    found = condition(input=LOST, output=BUSY)
    assert (found.phase, found.is_ready) == ("reconnecting", False)
    assert found.text() == "reconnecting: input mssql_cdc: db1: connection refused"


def test_both_lost_connections_are_named() -> None:
    assert condition(input=LOST, output=LOST).reason == (
        "input mssql_cdc: db1: connection refused; output servicebus: db1: connection refused"
    )


def test_a_throttled_output_is_ready() -> None:
    assert condition(output=BUSY) == Condition("throttled", "output servicebus: server busy", is_ready=True)


def test_an_output_that_takes_no_rows_is_throttled_even_if_it_reports_nothing() -> None:
    assert condition(is_blocked=True) == Condition("throttled", "output servicebus takes no more rows", is_ready=True)


def test_a_lost_connection_explains_why_the_output_takes_no_rows() -> None:
    assert condition(is_blocked=True, output=LOST).phase == "reconnecting"


def test_a_lease_that_is_not_proven_explains_why_no_rows_flow() -> None:
    found = condition_of("streaming", "", {}, NAMES, is_blocked=True, is_unproven=True)
    assert found == Condition("reconnecting", "the state backend does not renew the lease")
    assert condition_of("standby", "held by x", {}, NAMES, is_blocked=False).is_ready


def test_draining_names_what_delays_it() -> None:
    assert condition("draining") == Condition("draining", is_ready=True)
    assert condition("draining", output=LOST) == Condition("draining", "output servicebus: db1: connection refused")


@pytest.mark.parametrize("stage", ["starting", "restarting", "failed", "finished"])
def test_without_a_running_pair_no_heartbeat_counts(stage: Stage) -> None:
    assert condition(stage, output=Phase("stream")) == Condition(stage)


@pytest.mark.parametrize(
    ("known", "text"),
    [
        (Condition("streaming"), "streaming"),
        (Condition("restarting", "provider.died: it died"), "restarting after provider.died: it died"),
        (Condition("failed", "provider.died: it died"), "failed with provider.died: it died"),
        (Condition("finished"), "finished"),
    ],
)
def test_the_text_names_the_phase_and_the_reason(known: Condition, text: str) -> None:
    assert known.text() == text


def test_the_time_is_when_the_phase_began() -> None:
    start = datetime(2026, 11, 29, tzinfo=UTC)
    times = iter([start + timedelta(seconds=n) for n in range(10)])
    tracker = ConditionTracker(lambda: next(times))
    assert tracker.current == Condition("starting", since=start)
    tracker.enter("streaming")
    tracker.reported("input", LOST)
    lost = tracker.current
    assert lost.since == start + timedelta(seconds=2)
    tracker.reported("input", Phase("reconnecting", reason="db1: timeout"))
    assert (tracker.current.since, tracker.current.reason) == (lost.since, "input: db1: timeout")
    tracker.replaced("input")
    assert (tracker.current.phase, tracker.current.since) == ("streaming", start + timedelta(seconds=3))

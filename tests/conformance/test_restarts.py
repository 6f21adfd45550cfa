"""Within a run, both providers are restarted from the stored state after a transient failure."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from dstream.errors import ConfigError, DStreamError
from dstream.host import Job, RestartPolicy
from tests.conformance.runs import (
    Background,
    Recorded,
    job,
    lose_patience,
    provider,
    run,
    sink_numbers,
    stored_state,
)

IMMEDIATE = RestartPolicy(initial_delay_s=0.01, max_delay_s=0.02)


def restarting(folder: Path, **changes: Any) -> Job:
    return job(folder, **{"restart": IMMEDIATE, **changes})


def failing_input(folder: Path, fault: str, **config: Any) -> Any:
    return provider("input.py", 3, fault=fault, marker=str(folder / "marker"), **config)


def failing_output(folder: Path, fault: str, **config: Any) -> Any:
    return provider("output.py", 12, fault=fault, marker=str(folder / "marker"), sink=str(folder / "sink"), **config)


def check_nothing_lost(folder: Path) -> None:
    document = stored_state(folder)
    assert document is not None
    assert set(sink_numbers(folder)) == set(range(document["state"]["next"]))


@pytest.mark.parametrize("fault", ["killed", "exit", "exit_0", "error", "closes_stdout", "unterminated"])
def test_an_input_that_fails_is_restarted_from_the_stored_state(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "closes_stdout":
        lose_patience(monkeypatch)
    events = Recorded()
    summary = run(
        restarting(tmp_path, input=failing_input(tmp_path, fault, after=7, after_acks=1), run_id="the-run"), events
    )
    # The first pair stored 5 rows and failed two rows later; the second read 10 rows from there.
    assert sink_numbers(tmp_path)[:5] == list(range(5))
    assert sink_numbers(tmp_path)[-10:] == list(range(5, 15))
    document = stored_state(tmp_path)
    assert document is not None
    assert (document["state"], document["run_id"]) == ({"next": 15}, "the-run")
    assert (summary.drained, summary.rows, summary.progress.restarts) == (True, 15, 1)
    assert [event["attempt"] for event in events.named("run.restarting")] == [1]
    assert (len(events.named("run.started")), len(events.named("run.restarted"))) == (1, 1)
    assert events.named("run.finished")[0]["restarts"] == 1


def test_a_run_whose_checkpoint_is_deleted_does_not_start_from_scratch(tmp_path: Path) -> None:
    """With `start_from = "latest"`, an input would skip the changes since the checkpoint."""

    class Deleting(Recorded):
        def log(self, level: str, event: str, /, **fields: Any) -> None:
            super().log(level, event, **fields)
            if event == "run.restarting":
                (tmp_path / "state" / "dev" / "orders.json").unlink()

    with pytest.raises(ConfigError, match="was deleted while it ran") as caught:
        run(restarting(tmp_path, input=failing_input(tmp_path, "killed", after=7, after_acks=1)), Deleting())
    assert caught.value.code == "state.none"
    assert len(sink_numbers(tmp_path)) == len(set(sink_numbers(tmp_path))), "nothing was read again"


@pytest.mark.parametrize("fault", ["killed", "killed_midway", "exit", "error", "closes_stdin"])
def test_a_restarted_output_gets_unacknowledged_rows_again(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "closes_stdin":
        lose_patience(monkeypatch)
    events = Recorded()
    size = 50_000 if fault == "closes_stdin" else 10
    summary = run(
        restarting(
            tmp_path, input=provider("input.py", 3, rows=60, size=size), output=failing_output(tmp_path, fault, at=2)
        ),
        events,
    )
    check_nothing_lost(tmp_path)
    assert (summary.drained, summary.progress.restarts) == (True, 1)
    assert events.named("run.restarting")[0]["code"] in ("provider.died", "sink.full")


@pytest.mark.parametrize("role", ["input", "output"])
def test_a_killed_provider_is_restarted_with_its_partner(role: str, tmp_path: Path) -> None:
    running = Background(restarting(tmp_path, input=provider("input.py", 3, hold=True)))
    running.events.wait_for_progress(lambda progress: progress.last_seq == 2)
    first = [event["pid"] for event in running.events.named("provider.ready")]
    os.kill(first[["output", "input"].index(role)], signal.SIGKILL)
    running.events.wait_for("run.restarted")
    running.events.wait_for_progress(lambda progress: progress.restarts == 1 and progress.rows_settled == 20)
    assert not any(psutil.pid_exists(pid) for pid in first)
    running.stop.request()
    assert running.result().drained
    assert sink_numbers(tmp_path) == list(range(20))


@pytest.mark.parametrize("role", ["input", "output"])
def test_a_provider_killed_before_ready_is_restarted(role: str, tmp_path: Path) -> None:
    fault = failing_input(tmp_path, "killed_early") if role == "input" else failing_output(tmp_path, "killed_early")
    events = Recorded()
    summary = run(restarting(tmp_path, **{role: fault}), events)
    assert (summary.drained, summary.progress.restarts) == (True, 1)
    assert (len(events.named("run.started")), len(events.named("run.restarted"))) == (1, 0)
    assert sink_numbers(tmp_path) == list(range(10))


def test_after_the_last_attempt_the_run_ends_with_the_last_error(tmp_path: Path) -> None:
    events = Recorded()
    policy = RestartPolicy(max_attempts=2, initial_delay_s=0.01)
    with pytest.raises(DStreamError, match="connection lost") as caught:
        run(restarting(tmp_path, input=provider("input.py", 3, fault="error"), restart=policy), events)
    assert caught.value.code == "rows.lost"
    assert [event["attempt"] for event in events.named("run.restarting")] == [1, 2]
    assert events.named("run.failed")[0]["code"] == "rows.lost"


def test_progress_resets_the_restart_attempts(tmp_path: Path) -> None:
    policy = RestartPolicy(max_attempts=1, initial_delay_s=0.01)
    faulty = failing_input(tmp_path, "exit", after=7, after_acks=1, times=4)
    summary = run(restarting(tmp_path, input=faulty, restart=policy))
    assert (summary.drained, summary.progress.restarts) == (True, 4)
    assert set(sink_numbers(tmp_path)) == set(range(30))


@pytest.mark.parametrize(
    ("changes", "restarts"),
    [
        pytest.param({"fault": "error", "kind": "config"}, 0, id="config, running"),
        pytest.param({"fault": "error", "kind": "data"}, 0, id="data, running"),
        pytest.param({"fault": "error", "kind": "unreachable"}, 1, id="unreachable, running"),
        pytest.param({"fault": "refuses", "kind": "unreachable"}, 0, id="unreachable, before ready"),
        pytest.param({"fault": "refuses", "kind": "transient"}, 1, id="transient, before ready"),
        pytest.param({"fault": "early_exit"}, 0, id="exit, before ready"),
        pytest.param({"fault": "miscount"}, 0, id="counts differ"),
    ],
)
def test_only_transient_failures_are_retried(changes: dict[str, Any], restarts: int, tmp_path: Path) -> None:
    events = Recorded()
    the_job = restarting(tmp_path, input=failing_input(tmp_path, **changes))
    if restarts:
        assert run(the_job, events).drained
    else:
        with pytest.raises(DStreamError):
            run(the_job, events)
    assert len(events.named("run.restarting")) == restarts


def test_the_start_position_is_sent_until_a_state_is_stored(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    config = {"starts": str(starts), "after": 7, "after_acks": 1}
    run(restarting(tmp_path, input=failing_input(tmp_path, "exit", **config), from_="earliest"))
    assert [json.loads(line) for line in starts.read_text().splitlines()] == [
        {"from": "earliest", "state": {}},
        {"from": None, "state": {"next": 5}},
    ]


def test_a_stop_during_the_restart_delay_ends_the_run_undrained(tmp_path: Path) -> None:
    policy = RestartPolicy(initial_delay_s=600.0, max_delay_s=600.0)
    running = Background(restarting(tmp_path, input=provider("input.py", 3, fault="exit"), restart=policy))
    running.events.wait_for("run.restarting")
    running.stop.request()
    summary = running.result()
    assert not summary.drained
    assert running.events.named("run.finished")[0]["undone"] == 3


def test_a_stop_before_the_restarted_pair_is_ready_ends_the_run_undrained(tmp_path: Path) -> None:
    running = Background(restarting(tmp_path, input=failing_input(tmp_path, "exit", then="not_ready")))
    running.events.wait_for("run.restarting")
    running.events.wait_until(lambda: len(running.events.named("provider.ready")) == 3)
    running.stop.request()
    assert not running.result().drained


def test_restarts_leak_no_threads_or_descriptors(tmp_path: Path) -> None:
    process = psutil.Process()
    before = process.num_fds(), threading.active_count()
    run(restarting(tmp_path, input=failing_input(tmp_path, "killed", times=2)))
    assert (process.num_fds(), threading.active_count()) == before


def test_a_run_drains_at_max_rows(tmp_path: Path) -> None:
    events = Recorded()
    summary = run(restarting(tmp_path, input=provider("input.py", 3, hold=True), max_rows=10), events)
    assert (summary.drained, summary.rows) == (True, 10)
    assert events.named("run.draining")


def test_rows_before_a_restart_count_toward_max_rows(tmp_path: Path) -> None:
    faulty = failing_input(tmp_path, "exit", after=7, after_acks=1, hold=True)
    summary = run(restarting(tmp_path, input=faulty, max_rows=15))
    assert (summary.drained, summary.rows) == (True, 15)


def test_a_run_drains_at_max_duration(tmp_path: Path) -> None:
    summary = run(restarting(tmp_path, input=provider("input.py", 3, hold=True), max_duration_s=0.3))
    assert summary.drained
    assert 0.3 <= summary.streamed_s < 60


def test_the_lag_grows_until_the_restarted_provider_reports_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORE", "heartbeat")
    running = Background(restarting(tmp_path, input=failing_input(tmp_path, "", hold=True, then="not_ready")))
    running.events.wait_for_progress(lambda progress: progress.lag_ms == 5)
    os.kill(running.events.named("provider.ready")[0]["pid"], signal.SIGKILL)
    running.events.wait_until(lambda: len(running.events.named("provider.ready")) == 3)
    while_starting = running.events.wait_for_progress(lambda progress: progress.lag_ms > 50)
    running.events.wait_for_progress(lambda progress: progress.lag_ms > while_starting.lag_ms)
    running.stop.request()
    assert while_starting.condition.phase == "restarting"
    assert not while_starting.condition.is_ready
    assert running.result().progress.condition.phase == "finished"


def test_a_crash_that_repeats_at_the_same_position_ends_the_run_after_three(tmp_path: Path) -> None:
    events = Recorded()
    # Five rows are delivered, then the input exits at the eighth row, each time.
    faulty = provider("input.py", 3, fault="exit", after=3, after_acks=0)
    with pytest.raises(DStreamError, match="exited with code 3") as caught:
        run(restarting(tmp_path, input=faulty), events)
    assert caught.value.code == "provider.died"
    assert "3 times in a row at the same position" in caught.value.hint
    assert [event["attempt"] for event in events.named("run.restarting")] == [1, 2]


def test_an_input_that_stores_its_start_position_again_makes_no_progress(tmp_path: Path) -> None:
    run(job(tmp_path, input=provider("input.py", 3, rows=5)))
    script = (
        'echo \'{"dstream":"hello","protocol":1,"role":"input","name":"rows","capabilities":["checkpoint","ack"]}\'\n'
        "read -r line; read -r welcome\n"
        'echo \'{"status":"ready"}\'\n'
        'echo \'{"dstream":"checkpoint","seq":1,"n":0,"state":{"next":5}}\'\n'
        "read -r ack; exit 1\n"
    )
    again = replace(provider("input.py", 3), argv=["sh", "-c", script])
    events = Recorded()
    with pytest.raises(DStreamError) as caught:
        run(restarting(tmp_path, input=again), events)
    assert "at the same position" in caught.value.hint
    assert len(events.named("run.restarting")) == 2


def test_a_traceback_of_a_provider_is_one_event(tmp_path: Path) -> None:
    events = Recorded()
    (tmp_path / "state" / "dev").mkdir(parents=True)
    document = {"version": 1, "task": "orders", "input": "counter", "output": "sink", "seq": 1, "run_id": "r", **STORED}
    (tmp_path / "state" / "dev" / "orders.json").write_text(json.dumps(document))
    counter = [sys.executable, "-m", "dstream.sdk.examples.counter"]
    with pytest.raises(DStreamError) as caught:
        run(restarting(tmp_path, input=replace(provider("input.py", 3), argv=counter)), events)
    assert caught.value.code == "provider.crashed"
    tracebacks = [event["message"] for event in events.named("provider.log") if event.get("stream") == "stderr"]
    assert len(tracebacks) == 3
    assert all(each.startswith("Traceback") and "TypeError" in each.splitlines()[-1] for each in tracebacks)


STORED = {"stored_at": "2026-11-25T10:00:00.000Z", "state": {"next": "bad"}}

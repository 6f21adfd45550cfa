"""Successful runs: every row once and in order, then the checkpoint, then its ack."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from dstream.errors import ConfigError, DStreamError, LockedError, RefusedError, SystemFault, TransientError, exit_code
from dstream.host import StopRequest
from tests.conformance.runs import TASK, Background, Recorded, job, provider, run, sink_numbers, stored_state


def test_a_finite_input_is_relayed_completely_and_its_checkpoint_stored(tmp_path: Path) -> None:
    acks = tmp_path / "acks"
    events = Recorded()
    summary = run(job(tmp_path, input=provider("input.py", 3, rows=12, every=5, acks=str(acks))), events)
    assert sink_numbers(tmp_path) == list(range(12))
    document = stored_state(tmp_path)
    assert document is not None
    assert (document["version"], document["task"], document["input"], document["output"]) == (1, TASK, "rows", "sink")
    assert (document["seq"], document["run_id"], document["state"]) == (3, "run-1", {"next": 12})
    assert acks.read_text().split()[-1] == "3"
    assert (summary.rows, summary.last_seq, summary.drained) == (12, 3, True)
    assert [name for _, name, _ in events.events if name in ("run.started", "run.finished")] == [
        "run.started",
        "run.finished",
    ]
    assert [fields["role"] for fields in events.named("provider.ready")] == ["output", "input"]


def test_the_state_file_is_private(tmp_path: Path) -> None:
    run(job(tmp_path))
    path = tmp_path / "state" / "dev" / f"{TASK}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir() if file.name.startswith(".")] == []


def test_the_next_run_resumes_from_the_stored_state(tmp_path: Path) -> None:
    for _ in range(3):
        run(job(tmp_path, input=provider("input.py", 3, rows=7, every=3)))
    assert sink_numbers(tmp_path) == list(range(21))
    document = stored_state(tmp_path)
    assert document is not None
    assert document["state"] == {"next": 21}
    assert document["seq"] == 3  # each run counts from 1


def test_long_lines_are_relayed_byte_for_byte(tmp_path: Path) -> None:
    size = 3 * 1024 * 1024
    run(job(tmp_path, input=provider("input.py", 3, rows=4, every=1, size=size)))
    expected = b"".join(b'{"data":{"n":%d,"pad":"%s"},"metadata":{}}\n' % (n, b"x" * size) for n in range(4))
    assert (tmp_path / "sink").read_bytes() == expected


def test_an_input_without_rows_succeeds_without_a_checkpoint(tmp_path: Path) -> None:
    summary = run(job(tmp_path, input=provider("input.py", 3, rows=0)))
    assert summary.drained
    assert stored_state(tmp_path) is None


def test_an_ack_for_several_checkpoints_stores_the_latest(tmp_path: Path) -> None:
    sink = str(tmp_path / "sink")
    summary = run(
        job(
            tmp_path,
            input=provider("input.py", 3, rows=20, every=2),
            output=provider("output.py", 12, sink=sink, hold_acks=4),
        )
    )
    assert summary.last_seq == 10
    assert summary.rows == 20


def test_rejected_rows_count_as_settled_and_are_reported(tmp_path: Path) -> None:
    sink = str(tmp_path / "sink")
    events = Recorded()
    summary = run(job(tmp_path, output=provider("output.py", 12, sink=sink, rejected=1)), events)
    assert (summary.rows, summary.progress.rows_rejected) == (10, 2)
    assert events.named("run.finished")[0]["rejected"] == 2


def test_an_unknown_control_line_is_ignored(tmp_path: Path) -> None:
    summary = run(job(tmp_path, input=provider("input.py", 3, fault="unknown_control")))
    assert summary.rows == 10


def test_an_input_can_exit_right_after_its_end_line(tmp_path: Path) -> None:
    output = provider("output.py", 12, sink=str(tmp_path / "sink"), delay=0.02)
    summary = run(job(tmp_path, input=provider("input.py", 3, fault="leaves_at_end"), output=output))
    assert (summary.rows, summary.drained) == (10, True)


def test_a_nonzero_exit_after_everything_is_stored_is_only_logged(tmp_path: Path) -> None:
    events = Recorded()
    output = provider("output.py", 12, fault="bad_exit")
    assert run(job(tmp_path, output=output), events).drained
    assert events.wait_for("provider.bad_exit")["exit_code"] == 4


def test_text_on_an_outputs_stdout_is_logged(tmp_path: Path) -> None:
    events = Recorded()
    run(job(tmp_path, output=provider("output.py", 12, fault="prose")), events)
    assert [(e["role"], e["provider"], e["message"]) for e in events.named("provider.log")] == [
        ("output", "sink", "hello, people")
    ]


def test_stop_drains_read_rows_and_stops_the_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped, acks = tmp_path / "stopped", tmp_path / "acks"
    running = Background(
        job(
            tmp_path,
            input=provider("input.py", 3, rows=8, every=3, hold=True, acks=str(acks)),
            output=provider("output.py", 12, sink=str(tmp_path / "sink"), stopped=str(stopped)),
        )
    )
    running.events.wait_for_progress(lambda progress: progress.rows_relayed == 8)
    running.stop.request()
    summary = running.result()
    assert summary.drained
    assert sink_numbers(tmp_path) == list(range(8))
    assert stopped.read_text() == "True"
    assert acks.read_text().split()[-1] == "3"


def test_a_stop_requested_before_the_start_relays_nothing(tmp_path: Path) -> None:
    stop = StopRequest()
    stop.request()
    summary = run(job(tmp_path), stop=stop)
    assert (summary.rows, summary.drained) == (0, True)
    assert not (tmp_path / "sink").exists() or not (tmp_path / "sink").read_bytes()


def test_a_second_stop_kills_immediately_and_keeps_stored_state(tmp_path: Path) -> None:
    running = Background(
        job(
            tmp_path,
            input=provider("input.py", 3, rows=8, every=3, hold=True, fault="deaf", after=99),
            output=provider("output.py", 12, sink=str(tmp_path / "sink"), fault="stuck", at=3),
            drain_deadline_s=60.0,
        )
    )
    running.events.wait_for_progress(lambda progress: progress.last_seq == 2)
    running.stop.request()
    running.events.wait_for("run.draining")
    running.stop.request()
    summary = running.result()
    assert not summary.drained
    assert (summary.last_seq, summary.progress.rows_relayed - summary.rows) == (2, 2)
    document = stored_state(tmp_path)
    assert document is not None
    assert document["state"] == {"next": 6}


def test_both_providers_are_killed_at_the_drain_deadline(tmp_path: Path) -> None:
    running = Background(
        job(
            tmp_path,
            input=provider("input.py", 3, rows=8, every=3, hold=True, fault="deaf", after=99),
            drain_deadline_s=0.3,
        )
    )
    running.events.wait_for_progress(lambda progress: progress.last_seq >= 3)
    running.stop.request()
    assert not running.result().drained


def test_a_provider_that_does_not_exit_is_terminated(tmp_path: Path) -> None:
    events = Recorded()
    summary = run(job(tmp_path, input=provider("input.py", 3, fault="lingers", after=99), exit_grace_s=0.3), events)
    assert summary.drained
    assert events.wait_for("provider.ended_late")["role"] == "input"


def test_a_task_has_one_run_and_a_second_names_the_first(tmp_path: Path) -> None:
    first = Background(job(tmp_path, input=provider("input.py", 3, hold=True)))
    try:
        first.events.wait_for("run.started")
        with pytest.raises(LockedError) as caught:
            run(job(tmp_path))
        assert caught.value.code == "state.locked"
        assert f"pid {os.getpid()}" in caught.value.message
        assert "since 20" in caught.value.message
    finally:
        first.stop.request()
    assert first.result().drained
    run(job(tmp_path))


def test_from_is_refused_when_a_checkpoint_exists(tmp_path: Path) -> None:
    run(job(tmp_path))
    with pytest.raises(RefusedError) as caught:
        run(job(tmp_path, from_="earliest"))
    assert caught.value.code == "state.exists"
    assert "--reset" in caught.value.hint


def test_the_state_of_another_input_is_refused_before_line_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(job(tmp_path))
    monkeypatch.setenv("NAME", "others")
    with pytest.raises(RefusedError) as caught:
        run(job(tmp_path))
    assert caught.value.code == "state.foreign"
    assert '"rows"' in caught.value.message
    assert '"others"' in caught.value.message
    assert sink_numbers(tmp_path) == list(range(10))


def test_the_output_learns_when_the_checkpoint_was_stored(tmp_path: Path) -> None:
    output = provider("output.py", 12, sink=str(tmp_path / "sink"), run=str(tmp_path / "run.json"))

    def stored_at() -> str | None:
        run(job(tmp_path, output=output))
        return json.loads((tmp_path / "run.json").read_text())["checkpoint_stored_at"]  # type: ignore[no-any-return]

    assert stored_at() is None
    document = stored_state(tmp_path)
    assert document is not None
    assert stored_at() == document["stored_at"]


@pytest.mark.parametrize("is_look", [False, True])
def test_the_providers_learn_whether_checkpoints_are_acknowledged(tmp_path: Path, is_look: bool) -> None:
    output = provider("output.py", 12, sink=str(tmp_path / "sink"), run=str(tmp_path / "run.json"))
    run(job(tmp_path, output=output, is_look=is_look))
    assert json.loads((tmp_path / "run.json").read_text())["acks"] is not is_look


def test_a_changed_output_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(job(tmp_path))
    monkeypatch.setenv("OUT_NAME", "elsewhere")
    events = Recorded()
    run(job(tmp_path), events)
    assert events.named("state.output_changed")[0]["output"] == "elsewhere"


def test_once_needs_the_capability(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(job(tmp_path, once=True)).drained
    monkeypatch.setenv("MORE", "")
    with pytest.raises(ConfigError) as caught:
        run(job(tmp_path, once=True))
    assert caught.value.code == "provider.no_once"
    assert exit_code(caught.value) == 3


def test_phases_and_lag_come_from_heartbeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORE", "heartbeat")
    running = Background(job(tmp_path, input=provider("input.py", 3, hold=True)))
    progress = running.events.wait_for_progress(lambda progress: progress.lag_ms == 5)
    assert (progress.condition.phase, progress.condition.is_ready) == ("streaming", True)
    running.stop.request()
    assert running.result().progress.lag_ms == 5


def test_secrets_are_redacted_in_events_and_errors(tmp_path: Path) -> None:
    secret = "hunter2-and-more"
    spec = replace(
        provider(
            "input.py", 3, fault="error", say=f"Password={secret};", db_connection_string=f"a=b;Password={secret}"
        ),
        secrets=frozenset({secret}),
    )
    events = Recorded()
    with pytest.raises(TransientError) as caught:
        run(job(tmp_path, input=spec), events)
    assert secret not in events.text() + caught.value.message + str(caught.value) + repr(caught.value.args)
    assert "***" in caught.value.message


def test_a_state_with_a_secret_is_not_stored(tmp_path: Path) -> None:
    secret = "hunter2-and-more"
    spec = replace(provider("input.py", 3, extra_state={"login": secret}), secrets=frozenset({secret}))
    with pytest.raises(SystemFault) as caught:
        run(job(tmp_path, input=spec))
    assert caught.value.code == "state.secret"
    assert stored_state(tmp_path) is None


def test_runs_leak_no_threads_or_descriptors(tmp_path: Path) -> None:
    process = psutil.Process()
    runs = [
        job(tmp_path / "good"),
        job(tmp_path / "bad", input=provider("input.py", 3, fault="killed")),
        job(tmp_path / "silent", input=provider("input.py", 3, fault="not_ready"), start_timeout_s=0.3),
    ]
    for the_job in runs:
        the_job.state.folder.parent.mkdir()
    before = process.num_fds(), threading.active_count()
    for the_job in runs:
        with contextlib.suppress(DStreamError):
            run(the_job)
    assert (process.num_fds(), threading.active_count()) == before


def test_reset_deletes_the_checkpoint_under_the_lock(tmp_path: Path) -> None:
    run(job(tmp_path))
    events = Recorded()
    assert run(job(tmp_path, reset=True, from_="earliest"), events).rows == 10
    assert sink_numbers(tmp_path) == [*range(10), *range(10)]
    assert [event["had_checkpoint"] for event in events.named("state.reset")] == [True]
    first = Background(job(tmp_path, input=provider("input.py", 3, hold=True)))
    try:
        first.events.wait_for_progress(lambda progress: progress.last_seq == 2)
        with pytest.raises(LockedError):
            run(job(tmp_path, reset=True))
        assert stored_state(tmp_path) is not None
    finally:
        first.stop.request()
        first.result()


def test_reset_recovers_from_an_unreadable_state(tmp_path: Path) -> None:
    run(job(tmp_path))
    (tmp_path / "state" / "dev" / f"{TASK}.json").write_text("junk")
    with pytest.raises(ConfigError):
        run(job(tmp_path))
    assert run(job(tmp_path, reset=True)).rows == 10

"""Providers of the original protocol, paired with each other and with protocol 1 providers."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dstream.errors import ConfigError, DStreamError
from dstream.host import ProviderSpec
from dstream.host.provider.describe import introduce
from dstream.host.provider.memory import recall, remember_protocol
from tests.conformance.runs import Background, Recorded, job, provider, run, script, sink_numbers, stored_state

QUICK: dict[str, Any] = {"hello_timeout_s": 0.8, "legacy_ready_s": 0.3}


def legacy(kind: str, *arguments: str) -> ProviderSpec:
    return ProviderSpec(argv=script("legacy.py", kind, *arguments), config={"rows": 7}, label=kind)


def failure(*arguments: Any) -> DStreamError:
    with pytest.raises(DStreamError) as caught:
        run(*arguments)
    return caught.value


def test_a_legacy_input_streams_its_rows_and_its_text_is_logged(tmp_path: Path) -> None:
    events = Recorded()
    summary = run(job(tmp_path, input=legacy("ingester"), **QUICK), events)
    assert sink_numbers(tmp_path) == list(range(8))
    assert (summary.rows, summary.drained, summary.checkpoints) == (8, True, 0)
    shown = [event["message"] for event in events.named("provider.log")]
    assert shown == ["Connecting", *["polled"] * 7]
    assert stored_state(tmp_path) is None
    assert events.named("state.not_kept")


def test_json_log_lines_of_a_legacy_input_are_logged_and_not_published(tmp_path: Path) -> None:
    events = Recorded()
    summary = run(job(tmp_path, input=legacy("logs"), **QUICK), events)
    assert summary.rows == 3
    assert (tmp_path / "sink").read_bytes().splitlines() == [
        b'{"data":{"n":0},"metadata":{"Id":"0"}}',
        b'{"data":{"n":1},"metadata":{"Id":"1"}}',
        b'{"level":"info"}',  # no message, so it could be a row
    ]
    logged = [(level, fields) for level, event, fields in events.events if event == "provider.log"]
    assert [(level, each["message"], each["table"]) for level, each in logged] == [
        ("info", "polled", "Orders"),
        ("warning", "polled", "Orders"),
        ("error", "polled", "Orders"),
    ]


def test_a_crashed_legacy_input_fails_the_run_and_drops_its_partial_row(tmp_path: Path) -> None:
    error = failure(job(tmp_path, input=legacy("crashes"), **QUICK))
    assert error.code == "provider.died"
    assert "exited with code 3" in error.message
    assert b'"n":1' not in (tmp_path / "sink").read_bytes()


def test_a_legacy_error_status_fails_the_run(tmp_path: Path) -> None:
    error = failure(job(tmp_path, input=legacy("refuses"), **QUICK))
    assert (error.code, error.message) == ("provider.failed", "no such database")


def test_rows_of_a_quiet_legacy_input_are_settled_while_it_waits_for_more(tmp_path: Path) -> None:
    running = Background(job(tmp_path, input=legacy("streams", "0.5"), **QUICK))
    running.events.wait_for_progress(lambda progress: progress.rows_settled == 3)
    running.stop.request()
    assert running.result().drained
    assert sink_numbers(tmp_path) == [0, 1, 2]


def test_a_row_truncated_by_a_stop_is_not_relayed(tmp_path: Path) -> None:
    running = Background(job(tmp_path, input=legacy("half"), **QUICK))
    running.events.wait_for_progress(lambda progress: progress.rows_settled == 1)
    running.stop.request()
    assert running.result().rows == 1
    assert sink_numbers(tmp_path) == [0]


def test_a_program_that_prints_rows_and_exits_is_an_input(tmp_path: Path) -> None:
    summary = run(job(tmp_path, input=legacy("printf"), **QUICK))
    assert (summary.rows, summary.drained) == (3, True)
    assert sink_numbers(tmp_path) == [0, 1, 2]


@pytest.mark.parametrize("kind", ["sink", "quiet_sink"])
def test_a_legacy_output_gets_only_rows_and_they_settle_on_write(kind: str, tmp_path: Path) -> None:
    events = Recorded()
    summary = run(job(tmp_path, output=legacy(kind, str(tmp_path / "sink")), **QUICK), events)
    line_1, *rows = (tmp_path / "sink").read_text().splitlines()
    assert json.loads(line_1)["config"] == {"rows": 7}
    assert [json.loads(row)["data"]["n"] for row in rows] == list(range(10))
    assert (summary.rows, summary.drained) == (10, True)
    document = stored_state(tmp_path)
    assert document is not None
    assert document["state"] == {"next": 10}
    assert len(events.named("delivery.at_most_once")) == 1
    said = [event["message"] for event in events.named("provider.log")]
    assert sorted(each for each in said if "x" not in each) == ["bye", "closed"]
    assert "".join(each for each in said if "x" in each) == "x" * 200_000, "a long text does not end the run"


def test_a_legacy_output_that_fails_at_the_end_fails_the_run(tmp_path: Path) -> None:
    error = failure(job(tmp_path, output=legacy("sink_fails", str(tmp_path / "sink")), **QUICK))
    assert error.code == "provider.died"
    assert "exited with code 5" in error.message


def test_both_providers_can_be_legacy(tmp_path: Path) -> None:
    output = legacy("sink", str(tmp_path / "sink"))
    summary = run(job(tmp_path, input=legacy("ingester"), output=output, **QUICK))
    assert (summary.rows, summary.drained) == (8, True)
    assert len((tmp_path / "sink").read_text().splitlines()) == 1 + 8


def test_a_late_hello_restarts_both_providers_and_loses_nothing(tmp_path: Path) -> None:
    events = Recorded()
    late = ProviderSpec(argv=script("legacy.py", "late", str(tmp_path / "started")), config={}, label="late")
    summary = run(job(tmp_path, input=late, hello_timeout_s=0.3, legacy_ready_s=5.0), events)
    assert "input" in [event["role"] for event in events.named("provider.late_hello")]
    assert (summary.rows, summary.drained) == (10, True)
    assert sink_numbers(tmp_path) == list(range(10))
    assert stored_state(tmp_path) is not None


def test_a_known_legacy_input_is_not_waited_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run(job(tmp_path, input=legacy("ingester"), hello_timeout_s=0.2))
    begun_s = time.monotonic()
    summary = run(job(tmp_path, input=legacy("ingester"), hello_timeout_s=60.0))
    assert (summary.rows, time.monotonic() - begun_s < 20.0) == (8, True)


def test_silence_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    quiet, sink = legacy("quiet"), legacy("quiet_sink", str(tmp_path / "sink"))
    running = Background(job(tmp_path, input=quiet, output=sink, quiet_s=0.1, **QUICK))
    running.events.wait_for("input.quiet")
    running.stop.request()
    running.result()
    assert not recall(quiet.argv).is_legacy
    assert not recall(sink.argv).is_legacy


def test_a_hello_overrides_the_remembered_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    spec = provider("input.py", 3)
    remember_protocol(spec.argv, is_legacy=True)
    assert run(job(tmp_path, input=spec)).rows == 10
    assert not recall(spec.argv).is_legacy


def test_a_legacy_input_used_as_output_is_refused_at_its_first_row(tmp_path: Path) -> None:
    error = failure(job(tmp_path, output=legacy("printf"), **QUICK))
    assert error.code == "provider.wrong_role"
    assert "is an input provider" in error.message


def test_a_legacy_input_without_rows_is_reported_as_quiet(tmp_path: Path) -> None:
    running = Background(job(tmp_path, input=legacy("quiet"), quiet_s=0.2, **QUICK))
    assert running.events.wait_for("input.quiet")["provider"] == "quiet"
    running.stop.request()
    assert running.result().drained


def test_a_legacy_input_cannot_run_once(tmp_path: Path) -> None:
    assert failure(job(tmp_path, input=legacy("quiet"), once=True, **QUICK)).code == "provider.no_once"


def test_a_protocol_1_input_can_omit_checkpoints(tmp_path: Path) -> None:
    script_path = tmp_path / "plain"
    script_path.write_text(
        "#!/bin/sh\n"
        'echo \'{"dstream":"hello","protocol":1,"role":"input","name":"plain","capabilities":[]}\'\n'
        "read line_1; read welcome\n"
        'echo \'{"status":"ready"}\'\n'
        'echo \'{"data":{"n":0}}\'; echo \'{"dstream":"heartbeat"}\'; echo \'{"data":{"n":1}}\'\n'
        'echo \'{"dstream":"end","seq":0}\'\n'
    )
    script_path.chmod(0o755)
    summary = run(job(tmp_path, input=ProviderSpec(argv=[str(script_path)], config={}, label="plain")))
    assert (summary.rows, summary.drained) == (2, True)
    assert sink_numbers(tmp_path) == [0, 1]
    assert stored_state(tmp_path) is None


def test_a_short_hello_timeout_does_not_affect_protocol_1_runs(tmp_path: Path) -> None:
    assert run(job(tmp_path, input=provider("input.py", 3), **QUICK)).rows == 10


def test_a_provider_that_prints_text_before_its_hello_can_be_introduced(tmp_path: Path) -> None:
    script_path = tmp_path / "chatty"
    hello = '{"dstream":"hello","protocol":1,"role":"input","name":"chatty","capabilities":[]}'
    script_path.write_text(f"#!/bin/sh\necho Starting\necho '{hello}'\nread line\n")
    script_path.chmod(0o755)
    spec = ProviderSpec(argv=[str(script_path)], config={}, label="chatty")
    found = introduce(spec, "input", cwd=None, timeout_s=60.0, describe=False).hello
    assert found is not None
    assert found.name == "chatty"


def test_the_role_of_a_legacy_provider_is_not_guessed(tmp_path: Path) -> None:
    introduce(legacy("quiet"), "output", cwd=None, timeout_s=0.3, describe=False)
    introduce(legacy("printf"), "input", cwd=None, timeout_s=60.0, describe=False)
    with pytest.raises(ConfigError) as caught:
        introduce(
            ProviderSpec(argv=["true"], config={}, label="true"), "input", cwd=None, timeout_s=60.0, describe=False
        )
    assert caught.value.code == "provider.no_hello"
    with pytest.raises(ConfigError, match="is an input provider"):
        introduce(provider("input.py", 3), "output", cwd=None, timeout_s=60.0, describe=False)


def test_rows_from_a_legacy_input_whose_output_failed_crash_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    died: list[object] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    rows_at_its_end = 'trap "" TERM; cat > /dev/null; echo "{\\"Id\\":1}"; echo "{\\"Id\\":2}"'
    late = ProviderSpec(argv=["sh", "-c", rows_at_its_end], config={}, label="late")
    with pytest.raises(DStreamError):
        run(job(tmp_path, input=late, output=ProviderSpec(argv=["false"], config={}, label="false")))
    assert died == []

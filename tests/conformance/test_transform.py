"""A third provider between input and output: rows and checkpoints pass through it, and its faults lose nothing."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dstream.errors import ConfigError, DStreamError, SourceLocation
from dstream.host import Job, ProviderSpec, RestartPolicy
from tests.conformance.runs import Recorded, job, provider, run, script, sink_numbers, stored_state

KEPT = [number for number in range(30) if number % 4]


def transforming(folder: Path, **config: Any) -> Job:
    middle = ProviderSpec(script("middle.py"), config, "middle", SourceLocation("dstream.hcl", 7))
    acks = str(folder / "acks")
    return replace(job(folder, input=provider("input.py", 3, rows=30, every=5, acks=acks)), transform=middle)


def test_rows_pass_through_and_the_input_gets_its_own_state_back(tmp_path: Path) -> None:
    events = Recorded()
    summary = run(transforming(tmp_path), events)
    assert sink_numbers(tmp_path) == KEPT
    document = stored_state(tmp_path)
    assert document is not None
    assert document["state"] == {"next": 30}, "not the state that the transform made up"
    assert (summary.rows, summary.last_seq, summary.drained) == (len(KEPT), 6, True)
    assert (tmp_path / "acks").read_text().split()[-1] == "6"
    assert [fields["role"] for fields in events.named("provider.ready")] == ["output", "transform", "input"]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("skips", "protocol.bad_line"),
        ("ends", "protocol.bad_line"),
        ("acks", "protocol.bad_line"),
        ("miscounts", "protocol.count_mismatch"),
        ("exits", "protocol.end_missing"),
        ("error", "middle.bad"),
    ],
)
def test_a_fault_ends_the_run_and_the_next_one_loses_nothing(tmp_path: Path, fault: str, code: str) -> None:
    with pytest.raises(DStreamError) as caught:
        run(transforming(tmp_path, fault=fault, at=3))
    assert caught.value.code == code
    document = stored_state(tmp_path)
    assert (document["state"]["next"] if document else 0) <= 10
    again = transforming(tmp_path)
    run(replace(again, input=replace(again.input, config={**again.input.config, "rows": 30})))
    got = sink_numbers(tmp_path)
    assert set(KEPT) <= set(got)


def test_a_fault_that_may_pass_restarts_all_three(tmp_path: Path) -> None:
    events = Recorded()
    flaky = transforming(tmp_path, fault="exits", at=3, marker=str(tmp_path / "marker"))
    policy = RestartPolicy(max_attempts=3, initial_delay_s=0.01, max_delay_s=0.02)
    summary = run(replace(flaky, restart=policy), events)
    assert (summary.drained, summary.progress.restarts) == (True, 1)
    document = stored_state(tmp_path)
    assert document is not None
    kept = [number for number in range(document["state"]["next"]) if number % 4]
    assert list(dict.fromkeys(sink_numbers(tmp_path))) == kept
    assert len(events.named("provider.ready")) == 6


def test_a_provider_of_another_role_is_refused(tmp_path: Path) -> None:
    wrong = ProviderSpec(
        [sys.executable, "-m", "dstream.sdk.examples.counter"], {}, "counter", SourceLocation("a.hcl", 7)
    )
    with pytest.raises(ConfigError) as caught:
        run(replace(job(tmp_path), transform=wrong))
    assert caught.value.code == "provider.wrong_role"
    assert caught.value.message == '"counter" is an input provider and cannot be used as a transform'
    assert caught.value.place == SourceLocation("a.hcl", 7)


def test_a_transform_that_does_not_pass_checkpoints_on_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDDLE", "heartbeat")
    with pytest.raises(ConfigError) as caught:
        run(transforming(tmp_path))
    assert caught.value.code == "provider.no_passage"
    assert not (tmp_path / "sink").exists() or not sink_numbers(tmp_path)


def test_an_input_and_an_output_of_the_original_protocol_may_have_one_between_them(tmp_path: Path) -> None:
    old_input = ProviderSpec(script("legacy.py", "ingester"), {"rows": 7}, "ingester")
    old_output = ProviderSpec(script("legacy.py", "sink", str(tmp_path / "sink")), {"rows": 7}, "sink")
    plain = transforming(tmp_path)
    run(replace(plain, input=old_input, output=old_output, hello_timeout_s=0.8, legacy_ready_s=0.3))
    rows = (tmp_path / "sink").read_bytes().splitlines()[1:]  # after line 1
    assert [json.loads(row)["data"]["n"] for row in rows] == [1, 2, 3, 5, 6, 7]


def test_a_transform_that_is_slow_to_say_hello_is_waited_for(tmp_path: Path) -> None:
    plain = transforming(tmp_path)
    assert plain.transform is not None
    slow = ["/bin/sh", "-c", 'sleep 0.5; exec "$@"', "sh", *plain.transform.argv]
    run(replace(plain, transform=replace(plain.transform, argv=slow), hello_timeout_s=0.2, start_timeout_s=60.0))
    assert sink_numbers(tmp_path) == KEPT

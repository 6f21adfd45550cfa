"""The kit passes conforming providers in any language, and reports each fault by its own check and reason."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from dstream.kit import CHECKS, CheckLimits, ConformanceReport, check_provider
from tests.conformance.test_documentation import program

ROOT = Path(__file__).parent.parent.parent
BROKEN = Path(__file__).parent / "broken_providers"
MODULE = (sys.executable, "-m")
SHORT = CheckLimits(
    hello_s=5.0,
    answer_s=5.0,
    rows_s=0.5,
    drain_s=1.0,
    exit_s=2.0,
    orphan_s=1.0,
    heartbeat_s=0.5,
    command_s=1.0,
    watch_s=0.1,
)

FAULTS: dict[str, dict[str, str]] = {
    # script: each check that fails, and part of its reason
    "prints_before_hello": {"sends_hello_first": "its first line is not a hello: Starting up"},
    "connects_before_hello": {"sends_hello_first": "no line within 0.5 s"},
    "prints_between_rows": {"writes_only_messages_to_stdout": "unexpected text on stdout: batch of 3 done"},
    "miscounts_rows": {"counts_its_rows": "checkpoint 2 has n = 4, but 3 rows arrived since the previous one"},
    "numbers_checkpoints_from_zero": {"numbers_its_checkpoints": "checkpoint 0 arrived, expected 1"},
    "exits_without_draining": {"drains_on_stop": "no end line arrived within 1 s of the stop; it exited with 0"},
    "outlives_its_host": {"exits_when_the_host_dies": "it is still running 1 s after its stdin ended without a stop"},
    "skips_a_row": {"resumes_from_a_checkpoint": "the row {'number': 4} after the checkpoint is missing: it resumed with {'number': 5}"},
    "ignores_max_in_flight": {"respects_max_in_flight": "with max_in_flight = 2 it wrote checkpoint 3 before the first ack"},
    "crashes_on_an_invalid_config": {"rejects_an_invalid_config": "it does not respond; it exited with 1, last on stderr: KeyError"},
    "logs_its_config": {"does_not_leak_secrets": "it wrote a secret to stderr"},
    "acknowledges_early": {
        "acknowledges_in_order": "ack 1 arrived when it had received only checkpoint 0",
        "counts_settled_rows": "ack 1 has n = 1, but 3 rows arrived since checkpoint 0",
        "acknowledges_only_checkpointed_rows": "it acknowledged rows after the last checkpoint",
    },
    "counts_rows_since_start": {"counts_settled_rows": "ack 2 has n = 5, but 2 rows arrived since checkpoint 1"},
    "counts_trace_contexts": {"counts_settled_rows": "ack 1 has n = 4, but 3 rows arrived since checkpoint 0"},
    "ignores_empty_checkpoints": {
        "acknowledges_in_order": "checkpoint 3 was not acknowledged; it is still running",
        "acknowledges_empty_checkpoints": "no ack arrived within 0.5 s; it is still running",
    },
    "crashes_on_large_rows": {"handles_a_large_row": "neither an ack nor an error arrived"},
    "stops_reading": {"handles_a_large_row": "neither an ack nor an error arrived; it is still running"},
    "acknowledges_after_the_last_checkpoint": {"acknowledges_only_checkpointed_rows": "it acknowledged rows after the last checkpoint"},
    "runs_on_any_command": {"refuses_lifecycle_commands": 'it answers status with "ready", as if it were run'},
    "sends_no_heartbeats": {"sends_heartbeats": "no heartbeat arrived within 0.5 s"},
    "creates_on_plan": {"plans_without_changing_anything": 'the first plan is create of "first", create of "second", the second same of "first"'},
    "dates_its_plan": {"plans_without_changing_anything": "two plans of the same differ in resources, so no saved plan could be applied"},
    "omits_config_path": {"rejects_an_invalid_config_in_plan": "its error has no config_path, so no line can be shown (invalid config)"},
    "crashes_on_unknown_options": {"ignores_unknown_options": "plan exited without a last line; it exited with 1, last on stderr: TypeError: unexpected option"},
    "exits_when_cancelled": {"cancels_cleanly": "init, cancelled by stop, exited without a last line; it exited with 1"},
    "recreates_on_every_init": {"creates_what_it_plans": 'a second init shows create of "first", create of "second"'},
    "reports_false_drift": {"finds_no_drift": 'after init, status shows update of "first", update of "second"'},
    "leaves_a_resource_behind": {"destroys_what_it_created": 'after destroy, plan shows same of "second"'},
    "ends_early": {"ends_only_after_stop": "it wrote an end line, so the host would take a part of the rows for all of them"},
    "passes_ahead": {
        "passes_checkpoints_on": "checkpoint 2 arrived, expected 1",
    },
    "counts_rows_in": {"counts_its_rows": "checkpoint 1 has n = 3, but 2 rows arrived before it"},
    "exits_without_end": {"ends_after_stop": "it exited without an end line"},
    "counts_no_dead_letters": {"lists_its_dead_letters": "it lists 2 letters, but its count is 0"},
    "shows_no_row": {"shows_a_dead_letter": "show of letter 1 writes 0 rows, not 1"},
    "ignores_changed_dead_letters": {
        "refuses_changed_dead_letters": "show of a letter that does not exist is not answered with an error; it exited with 0",
    },
    "outputs_its_password": {"does_not_leak_secrets": "it wrote a secret to stdout"},
}  # fmt: skip


@pytest.mark.parametrize("script", FAULTS)
def test_a_broken_provider_fails_only_the_expected_checks(script: str) -> None:
    limits = CheckLimits(hello_s=0.5) if script == "connects_before_hello" else SHORT
    report = check(BROKEN / f"{script}.py", limits=limits, lifecycle=has_infrastructure(script))
    assert {each.check.name for each in report.failures} == set(FAULTS[script]), str(report)
    for each in report.failures:
        assert FAULTS[script][each.check.name] in each.reason


@pytest.mark.parametrize(
    ("script", "skipped"),
    [
        ("good_input", ["describes_its_config", "honors_once", "sends_heartbeats"]),
        ("good_output", ["describes_its_config", "rejects_an_invalid_config", "sends_heartbeats"]),
        ("good_dead_letters", ["describes_its_config", "rejects_an_invalid_config", "sends_heartbeats"]),
        (
            "good_without_dead_letters",
            [
                "describes_its_config",
                "rejects_an_invalid_config",
                "lists_its_dead_letters",
                "shows_a_dead_letter",
                "refuses_changed_dead_letters",
                "sends_heartbeats",
            ],
        ),
        ("good_transform", ["describes_its_config", "rejects_an_invalid_config", "sends_heartbeats"]),
        ("good_infrastructure", ["describes_its_config", "rejects_an_invalid_config", "sends_heartbeats"]),
    ],
)
def test_the_bases_of_the_broken_providers_pass(script: str, skipped: list[str]) -> None:
    report = check(BROKEN / f"{script}.py", limits=SHORT, lifecycle=has_infrastructure(script))
    assert report.passed, str(report)
    assert [each.check.name for each in report.results if each.outcome == "skipped"] == skipped


@pytest.mark.parametrize(
    ("module", "config", "skipped"),
    [("counter", {"interval": "2ms"}, {"honors_once"}), ("console", {"format": "count"}, set())],
)
def test_the_example_providers_pass(module: str, config: dict[str, Any], skipped: set[str]) -> None:
    report = check_provider([sys.executable, "-m", f"dstream.sdk.examples.{module}"], config)
    assert report.passed, str(report)
    assert {each.check.name for each in report.results if each.outcome == "skipped"} == skipped


def test_the_example_with_infrastructure_passes_and_cleans_up(tmp_path: Path) -> None:
    file = tmp_path / "world.json"
    config = {"file": str(file), "resources": {"orders": {"size": 1}, "payments": {"size": 2}}}
    report = check_provider([*MODULE, "dstream.sdk.examples.test_infrastructure"], config, lifecycle=True)
    assert report.passed, str(report)
    assert {each.check.name for each in report.results if each.outcome == "skipped"} == set()
    assert json.loads(file.read_text()) == {"recorded": {}, "real": {}}


def test_infrastructure_is_created_only_on_request(tmp_path: Path) -> None:
    report = check(BROKEN / "good_infrastructure.py")
    assert not {each.check.name for each in report.results if each.check.section == "Lifecycle commands"}


def test_existing_resources_are_neither_changed_nor_deleted(tmp_path: Path) -> None:
    file = tmp_path / "world.json"
    file.write_text('{"recorded": {"orders": {"size": 7}}, "real": {"orders": {"size": 7}}}')
    config = {"file": str(file), "resources": {"orders": {"size": 7}}}
    report = check_provider([*MODULE, "dstream.sdk.examples.test_infrastructure"], config, limits=SHORT, lifecycle=True)
    found = {each.check.name: each for each in report.results if each.check.infrastructure}
    assert found["plans_without_changing_anything"].reason.startswith(
        '"orders" already exists, and the kit deletes what it'
    )
    assert {each.outcome for name, each in found.items() if name != "rejects_an_invalid_config_in_plan"} == {"skipped"}
    assert json.loads(file.read_text())["real"] == {"orders": {"size": 7}}


def test_lifecycle_fails_for_a_provider_without_infrastructure() -> None:
    report = check(BROKEN / "good_output.py", lifecycle=True)
    reason = "it has no capability infrastructure, so there are no lifecycle commands to test"
    assert str(report) == f"sends_hello_first: {reason}"


@pytest.mark.parametrize("name", ["letters", "append"])
def test_the_bash_providers_in_the_reference_pass(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    report = check_provider(program(tmp_path, name).argv)
    assert report.passed, str(report)


def test_a_provider_with_the_wrong_role_fails() -> None:
    report = check(BROKEN / "good_output.py", role="input")
    assert str(report) == "sends_hello_first: its role is output, not input"
    assert all(each.outcome == "skipped" for each in report.results[1:])


def test_each_check_has_a_sentence_and_a_heading_in_the_reference() -> None:
    headings = {
        line.lstrip("# ") for line in (ROOT / "docs/reference/protocol.md").read_text().splitlines() if line[:1] == "#"
    }
    assert {check.section for check in CHECKS} <= headings
    assert all(check.sentence.endswith(".") for check in CHECKS)
    names = [check.name for check in CHECKS]
    assert all(needed in names[:number] for number, check in enumerate(CHECKS) for needed in check.needs)


def check(path: Path, *, role: Any = None, limits: CheckLimits = SHORT, lifecycle: bool = False) -> ConformanceReport:
    # -S skips site-packages: the interpreter starts four times as fast.
    return check_provider([sys.executable, "-S", "-E", str(path)], role=role, limits=limits, lifecycle=lifecycle)


def has_infrastructure(script: str) -> bool:
    return "from provisioning import" in (BROKEN / f"{script}.py").read_text()

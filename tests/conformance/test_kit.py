"""The kit passes what keeps to the protocol, in any language, and finds each fault by its own check and reason."""

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
    # script: each check that fails, and words of its reason
    "greets_people": {"hello_comes_first": "its first line is not a hello: Starting up .."},
    "connects_first": {"hello_comes_first": "no line within 0.5 s"},
    "prints_between_rows": {"writes_only_messages_to_stdout": "text among its messages: batch of 3 done"},
    "miscounts_rows": {"counts_its_rows": "checkpoint 2 has n = 4, but 3 rows arrived since the last"},
    "restarts_its_numbers": {"numbers_its_checkpoints": "checkpoint 0 arrived, expected 1"},
    "leaves_on_stop": {"drains_on_stop": "no end line arrived within 1 s of the stop; it exited with 0"},
    "outlives_its_host": {"ends_when_the_host_died": "it still runs 1 s after its stdin ended without a stop"},
    "skips_a_row": {"goes_on_from_a_checkpoint": "the row {'number': 4} after the checkpoint is missing: it continued with {'number': 5}"},
    "floods": {"keeps_to_max_in_flight": "with max_in_flight = 2 it wrote checkpoint 3 before the first was acked"},
    "crashes_on_a_bad_config": {"refuses_a_bad_config": "it does not respond; it exited with 1, last on stderr: KeyError"},
    "shows_its_config": {"keeps_secrets": "it wrote a secret to stderr"},
    "acknowledges_early": {
        "acknowledges_in_order": "ack 1 arrived when it had received only checkpoint 0",
        "counts_what_it_settled": "ack 1 has n = 1, but 3 rows arrived since checkpoint 0",
        "acknowledges_nothing_unmarked": "it acknowledged rows after the last checkpoint",
    },
    "counts_all_rows": {"counts_what_it_settled": "ack 2 has n = 5, but 2 rows arrived since checkpoint 1"},
    "forgets_empty_checkpoints": {
        "acknowledges_in_order": "checkpoint 3 was not acknowledged; it is still running",
        "acknowledges_empty_checkpoints": "no ack arrived within 0.5 s; it is still running",
    },
    "chokes_on_big_rows": {"takes_a_big_row": "neither an ack nor an error arrived"},
    "acknowledges_the_unmarked": {"acknowledges_nothing_unmarked": "it acknowledged rows after the last checkpoint"},
    "runs_at_any_command": {"refuses_lifecycle_commands": 'status is answered with "ready", as if it were run'},
    "forgets_to_beat": {"sends_heartbeats": "no heartbeat arrived within 0.5 s"},
    "plans_by_making": {"plans_without_changing": 'the first plan is create of "first", create of "second", the second same of "first"'},
    "hides_what_is_bad": {"fails_with_a_bad_config": "its error has no config_path, so no line can be shown (bad config)"},
    "chokes_on_options": {"ignores_unknown_options": "plan ends without a last line; it exited with 1, last on stderr: TypeError: unexpected option"},
    "leaves_when_cancelled": {"cancels_in_order": "init, cancelled by stop, ends without a last line; it exited with 1"},
    "makes_anew": {"makes_what_it_plans": 'a second init shows create of "first", create of "second"'},
    "sees_drift": {"finds_no_drift": 'after init, status shows update of "first", update of "second"'},
    "leaves_one_behind": {"destroys_what_it_made": 'after destroy, plan shows same of "second"'},
    "outputs_its_password": {"keeps_secrets": "it wrote a secret to stdout"},
}  # fmt: skip


@pytest.mark.parametrize("script", FAULTS)
def test_a_broken_provider_fails_for_its_own_reason_and_no_other(script: str) -> None:
    limits = CheckLimits(hello_s=0.5) if script == "connects_first" else SHORT
    report = check(BROKEN / f"{script}.py", limits=limits, lifecycle=is_about_infrastructure(script))
    assert {each.check.name for each in report.failures} == set(FAULTS[script]), str(report)
    for each in report.failures:
        assert FAULTS[script][each.check.name] in each.reason


@pytest.mark.parametrize(
    ("script", "skipped"),
    [
        ("good_input", ["describes_its_config", "ends_with_once", "sends_heartbeats"]),
        ("good_output", ["describes_its_config", "refuses_a_bad_config", "sends_heartbeats"]),
        ("good_infrastructure", ["describes_its_config", "refuses_a_bad_config", "sends_heartbeats"]),
    ],
)
def test_what_the_broken_ones_are_made_of_passes(script: str, skipped: list[str]) -> None:
    report = check(BROKEN / f"{script}.py", limits=SHORT, lifecycle=is_about_infrastructure(script))
    assert report.passed, str(report)
    assert [each.check.name for each in report.results if each.outcome == "skipped"] == skipped


@pytest.mark.parametrize(
    ("module", "config", "skipped"),
    [("counter", {"interval": "2ms"}, {"ends_with_once"}), ("console", {"format": "count"}, set())],
)
def test_the_providers_that_come_with_dstream_pass(module: str, config: dict[str, Any], skipped: set[str]) -> None:
    report = check_provider([sys.executable, "-m", f"dstream.sdk.examples.{module}"], config)
    assert report.passed, str(report)
    assert {each.check.name for each in report.results if each.outcome == "skipped"} == skipped


def test_our_provider_with_infrastructure_passes_and_leaves_nothing_of_it(tmp_path: Path) -> None:
    file = tmp_path / "world.json"
    config = {"file": str(file), "resources": {"orders": {"size": 1}, "payments": {"size": 2}}}
    report = check_provider([*MODULE, "dstream.sdk.examples.test_infrastructure"], config, lifecycle=True)
    assert report.passed, str(report)
    assert {each.check.name for each in report.results if each.outcome == "skipped"} == set()
    assert json.loads(file.read_text()) == {"recorded": {}, "real": {}}


def test_infrastructure_is_made_only_when_asked_for(tmp_path: Path) -> None:
    report = check(BROKEN / "good_infrastructure.py")
    assert not {each.check.name for each in report.results if each.check.section == "Lifecycle commands"}


def test_what_is_there_already_is_neither_changed_nor_deleted(tmp_path: Path) -> None:
    file = tmp_path / "world.json"
    file.write_text('{"recorded": {"orders": {"size": 7}}, "real": {"orders": {"size": 7}}}')
    config = {"file": str(file), "resources": {"orders": {"size": 7}}}
    report = check_provider([*MODULE, "dstream.sdk.examples.test_infrastructure"], config, limits=SHORT, lifecycle=True)
    found = {each.check.name: each for each in report.results if each.check.infrastructure}
    assert found["plans_without_changing"].reason.startswith('"orders" already exists, and the kit deletes what it')
    assert {each.outcome for name, each in found.items() if name != "fails_with_a_bad_config"} == {"skipped"}
    assert json.loads(file.read_text())["real"] == {"orders": {"size": 7}}


def test_lifecycle_commands_of_a_provider_that_has_none_can_not_be_tested() -> None:
    report = check(BROKEN / "good_output.py", lifecycle=True)
    reason = "it has no capability infrastructure, so there are no lifecycle commands to test"
    assert str(report) == f"hello_comes_first: {reason}"


@pytest.mark.parametrize("name", ["letters", "append"])
def test_the_bash_providers_of_the_reference_pass(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    report = check_provider(program(tmp_path, name).argv)
    assert report.passed, str(report)


def test_a_provider_that_has_the_other_role_is_said_to() -> None:
    report = check(BROKEN / "good_output.py", role="input")
    assert str(report) == "hello_comes_first: it is an output provider, not an input provider"
    assert all(each.outcome == "skipped" for each in report.results[1:])


def test_each_check_has_a_sentence_and_a_heading_of_the_reference() -> None:
    headings = {
        line.lstrip("# ") for line in (ROOT / "docs/reference/protocol.md").read_text().splitlines() if line[:1] == "#"
    }
    assert {check.section for check in CHECKS} <= headings
    assert all(check.sentence.endswith(".") for check in CHECKS)
    names = [check.name for check in CHECKS]
    assert all(needed in names[:number] for number, check in enumerate(CHECKS) for needed in check.needs)


def check(path: Path, *, role: Any = None, limits: CheckLimits = SHORT, lifecycle: bool = False) -> ConformanceReport:
    # Without site-packages: a bare interpreter starts four times as fast.
    return check_provider([sys.executable, "-S", "-E", str(path)], role=role, limits=limits, lifecycle=lifecycle)


def is_about_infrastructure(script: str) -> bool:
    return "from making import" in (BROKEN / f"{script}.py").read_text()

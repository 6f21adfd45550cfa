"""The host's side of init, plan, status and destroy: providers that work, fail, die, hang or have the wrong role."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from dstream.errors import DStreamError, exit_code
from dstream.host import NoInfrastructure
from dstream.protocol.messages import Resource
from tests.conformance.commands import wait_until
from tests.conformance.lifecycles import Background, CommandReport, carry_out, scripted


def received(folder: Path) -> list[str]:
    path = folder / "received"
    return path.read_text().split() if path.exists() else []


def failure(folder: Path, kind: str) -> DStreamError:
    with pytest.raises(DStreamError) as caught:
        carry_out(scripted(folder, kind))
    return caught.value


def test_progress_and_result_are_reported_and_the_exit_code_is_ignored(tmp_path: Path) -> None:
    report = CommandReport()
    outcome = carry_out(scripted(tmp_path, "works"), report)
    assert received(tmp_path) == ["init"]
    assert [(each.phase, each.name) for each in report.resources] == [("started", "orders"), ("done", "orders")]
    assert [each.message for each in report.diagnostics] == ["the tier is small"]
    assert (outcome.provider, outcome.error, outcome.is_interrupted) == ("world", None, False)
    assert [(each.name, each.op) for each in outcome.resources] == [("orders", "create")]
    assert outcome.outputs == {"a": 1}


def test_secrets_are_redacted_in_progress_logs_and_result(tmp_path: Path) -> None:
    report = CommandReport()
    outcome = carry_out(scripted(tmp_path, "works", password="hunter2-canary"), report)
    assert "hunter2" not in repr((outcome, report.events, report.resources))
    assert report.resources[1].diff[0].new == "***"


def test_a_failed_result_carries_its_code_kind_and_place(tmp_path: Path) -> None:
    error = carry_out(scripted(tmp_path, "fails")).error
    assert error is not None
    assert (error.code, exit_code(error), str(error.place)) == ("world.locked", 4, "dstream.hcl:14:7")


def test_a_failed_result_without_an_error_still_fails(tmp_path: Path) -> None:
    error = carry_out(scripted(tmp_path, "fails_plainly")).error
    assert error is not None
    assert (error.code, error.message, exit_code(error)) == ("provider.failed", "no reason", 1)


def test_a_provider_that_is_killed_has_no_result(tmp_path: Path) -> None:
    error = failure(tmp_path, "dies")
    assert error.code == "provider.no_result"
    assert "was killed by SIGKILL" in error.message
    assert error.details == ("out of memory",)


def test_a_provider_that_exits_without_a_result_fails(tmp_path: Path) -> None:
    assert failure(tmp_path, "leaves").code == "provider.no_result"


def test_a_line_that_is_neither_result_nor_control_line_is_an_error(tmp_path: Path) -> None:
    assert failure(tmp_path, "junk").code == "protocol.bad_line"


def test_a_control_line_over_the_limit_is_an_error(tmp_path: Path) -> None:
    error = failure(tmp_path, "big")
    assert error.code == "provider.line_too_long"
    assert "65,536" in error.message


def test_a_quiet_legacy_provider_is_reported_and_can_be_cancelled(tmp_path: Path) -> None:
    running = Background(replace(scripted(tmp_path, "quiet"), hello_timeout_s=0.2, quiet_s=0.2))
    wait_until(lambda: "provider.quiet" in [event for _, event, _ in running.report.events], "provider.quiet is logged")
    running.stop.request()
    assert running.outcome().is_interrupted


def test_metadata_of_the_wrong_type_is_ignored(tmp_path: Path) -> None:
    outcome = carry_out(scripted(tmp_path, "odd"))
    assert (outcome.error, outcome.outputs, outcome.figures, outcome.plan, outcome.where) == (None, {}, [], None, "")


def test_a_bug_in_the_host_is_an_error_without_secrets(tmp_path: Path) -> None:
    class Buggy(CommandReport):
        def resource(self, resource: Resource) -> None:
            raise KeyError("hunter2-canary")

    with pytest.raises(DStreamError) as caught:
        carry_out(scripted(tmp_path, "works", password="hunter2-canary"), Buggy())
    assert caught.value.code == "run.crashed"
    assert "hunter2" not in caught.value.message + "".join(caught.value.details)


@pytest.mark.parametrize("kind", ["closes", "unterminated", "stays"])
def test_provider_behavior_after_its_result_is_not_an_error(kind: str, tmp_path: Path) -> None:
    report = CommandReport()
    assert carry_out(replace(scripted(tmp_path, kind), exit_grace_s=0.2), report).error is None
    assert report.events == []


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("input", "provider.no_lifecycle", '"reader" is an input provider and doesn\'t support lifecycle commands'),
        ("no_infrastructure", "provider.no_infrastructure", "without infrastructure"),
        ("newer", "provider.wrong_protocol", "speaks protocol 2"),
    ],
)
def test_an_unsuitable_provider_is_refused_before_line_1(kind: str, code: str, words: str, tmp_path: Path) -> None:
    error = failure(tmp_path, kind)
    assert (error.code, exit_code(error), str(error.place)) == (code, 3, "dstream.hcl:12")
    assert words in error.message
    assert error.hint
    assert received(tmp_path) == []
    assert isinstance(error, NoInfrastructure) == (kind == "no_infrastructure")


def test_a_late_hello_restarts_the_provider(tmp_path: Path) -> None:
    job = replace(scripted(tmp_path, "late"), hello_timeout_s=0.2)
    assert carry_out(job).error is None


def test_stop_cancels_and_waits_for_the_provider_to_finish(tmp_path: Path) -> None:
    running = Background(scripted(tmp_path, "cancels"))
    assert running.report.started.wait(60)
    running.stop.request()
    assert running.outcome().is_interrupted
    assert received(tmp_path) == ["init", "stop"]


def test_a_command_that_succeeds_despite_a_stop_is_successful(tmp_path: Path) -> None:
    running = Background(scripted(tmp_path, "finishes"))
    assert running.report.started.wait(60)
    running.stop.request()
    outcome = running.outcome()
    assert (outcome.is_interrupted, outcome.error, outcome.outputs) == (False, None, {"a": 1})


def test_a_second_stop_kills_the_provider(tmp_path: Path) -> None:
    running = Background(scripted(tmp_path, "stubborn"))
    assert running.report.started.wait(60)
    running.stop.request()
    running.stop.request()
    assert running.outcome().is_interrupted


def test_a_cancelled_command_is_killed_at_its_deadline(tmp_path: Path) -> None:
    running = Background(replace(scripted(tmp_path, "stubborn"), cancel_deadline_s=0.2))
    assert running.report.started.wait(60)
    running.stop.request()
    assert running.outcome().is_interrupted


def test_a_provider_that_stops_sending_heartbeats_fails_as_silent(tmp_path: Path) -> None:
    with pytest.raises(DStreamError) as caught:
        carry_out(replace(scripted(tmp_path, "silent"), silence_s=0.3, exit_grace_s=0.2))
    assert caught.value.code == "provider.silent"


def test_no_descriptors_leak(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()
    for kind in ("works", "leaves", "input"):
        try:
            carry_out(scripted(tmp_path, kind))
        except DStreamError:
            continue
    after = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()
    assert len(after) <= len(before)

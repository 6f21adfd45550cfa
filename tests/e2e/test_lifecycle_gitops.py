"""Lifecycle commands as a pipeline uses them: refusals, several tasks, events and Markdown."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conformance.commands import QUEUES, Place, ended, error_of, lines_of, wait_until


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def two_tasks(place: Place, **of_first: Any) -> None:
    (place.folder / "dstream.hcl").unlink(missing_ok=True)
    place.task("a", resources={"orders": {"size": 1}}, file="a.json", **of_first)
    place.task("b", resources={"returns": {"size": 1}}, file="b.json")


def world(place: Place, file: str) -> Any:
    path = place.folder / file
    return json.loads(path.read_text())["real"] if path.exists() else {}


@contextmanager
def running(place: Place) -> Iterator[subprocess.Popen[str]]:
    """A stream of task t that runs until it is stopped."""
    path = place.folder / "dstream.hcl"
    path.write_text(path.read_text().replace("count = 5", "count = 1000000"))
    process = place.start("run", "t", "--log-level", "error")
    try:
        wait_until(lambda: list((place.folder / ".dstream").glob("state/*/t.json")), "a checkpoint")
        yield process
    finally:
        ended(process, signal.SIGTERM)


def test_init_applies_only_what_it_showed(place: Place) -> None:
    place.queues()
    place.dstream("init", "t", "--yes")
    place.queues(slow={"init": "2s"})
    path = place.folder / "dstream.hcl"
    path.write_text(path.read_text().replace('"max_delivery_count": 10', '"max_delivery_count": 11'))
    process = place.start("init", "t", "--yes")
    wait_until_applying(process)
    place.set_real({**QUEUES, "orders": {"max_delivery_count": 1}})
    code, _, stderr = ended(process)
    assert code == 5
    assert "the changes differ from the plan: orders: max_delivery_count changed" in stderr
    assert place.world["real"]["orders"] == {"max_delivery_count": 1}


def wait_until_applying(process: subprocess.Popen[str]) -> None:
    """Wait until the command has shown its plan and started the provider again to apply it."""
    assert process.stdout
    assert any(line.startswith("Plan: ") for line in process.stdout)
    wait_until(lambda: psutil.Process(process.pid).children(), "the provider to start again")


def test_data_loss_is_shown_and_refused_unless_allowed(place: Place) -> None:
    place.task(resources={"audit": {"sessions": False}}, holds={"audit": 1284})
    assert place.dstream("init", "t", "--yes").returncode == 0
    path = place.folder / "dstream.hcl"
    path.write_text(path.read_text().replace("false", "true"))
    plan = place.dstream("plan", "t")
    assert plan.returncode == 0
    assert "replace, holds 1,284 messages that would be lost" in plan.stdout
    assert "Refused by default: audit loses messages. Allow it with --allow-data-loss." in plan.stdout
    refused = place.dstream("init", "t", "--yes", "--json", "--markdown", "init.md")
    assert refused.returncode == 5
    assert (
        "init of t would lose data: audit holds 1,284 messages that would be lost   [plan.data_loss]" in refused.stderr
    )
    assert json.loads(refused.stdout)["tasks"][0]["error"]["code"] == "plan.data_loss"
    assert "1,284" in (place.folder / "init.md").read_text()
    assert place.world["real"] == {"audit": {"sessions": False}}
    assert place.dstream("destroy", "t", "--yes").returncode == 5
    assert place.dstream("init", "t", "--yes", "--allow-data-loss").returncode == 0
    assert place.world["real"] == {"audit": {"sessions": True}}


def test_data_loss_is_refused_before_the_confirmation_prompt(place: Place) -> None:
    place.queues(holds={"orders": 1})
    place.dstream("init", "t", "--yes")
    code, shown = place.at_a_terminal(b"y\n", "destroy", "t")
    assert code == 5
    assert "[y/N]" not in shown


def test_a_plan_file_is_applied_at_a_terminal_without_a_prompt(place: Place) -> None:
    place.queues()
    place.dstream("plan", "t", "--out", "plan.json")
    code, shown = place.at_a_terminal(b"", "init", "t", "--plan", "plan.json")
    assert (code, "[y/N]" in shown) == (0, False)
    assert place.world["real"] == QUEUES


def test_existing_resources_are_imported_on_request(place: Place) -> None:
    place.queues()
    (place.folder / "test-infrastructure.json").write_text(json.dumps({"real": QUEUES, "recorded": {}}))
    refused = place.dstream("init", "t", "--yes")
    assert refused.returncode == 3
    assert "dstream init t --import" in refused.stderr
    done = place.dstream("init", "t", "--yes", "--import")
    assert done.returncode == 0
    assert "Imported 2 in" in done.stdout
    assert place.world == {"real": QUEUES, "recorded": QUEUES}


def test_no_refresh_compares_with_the_record_alone(place: Place) -> None:
    place.queues()
    place.dstream("init", "t", "--yes")
    place.set_real({})
    assert place.dstream("plan", "t", "--no-refresh", "--detailed-exitcode").returncode == 0
    assert place.dstream("plan", "t", "--detailed-exitcode").returncode == 2


def test_a_held_lock_is_named_and_waited_for_on_request(place: Place) -> None:
    place.queues()
    with (place.folder / "test-infrastructure.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("alice")
        lock.flush()
        refused = place.dstream("init", "t", "--yes")
        assert refused.returncode == 4
        assert "test-infrastructure.lock is held by alice" in error_of(refused)
        waiting = place.start("init", "t", "--yes", "--lock-timeout", "1m")
        wait_until_applying(waiting)
        fcntl.flock(lock, fcntl.LOCK_UN)
    code, stdout, stderr = ended(waiting)
    assert code == 0, stderr
    assert "Created 2" in stdout


def test_several_tasks_run_concurrently_and_are_shown_in_order(place: Place) -> None:
    two_tasks(place, slow={"plan": "2s"})
    process = place.start("plan", "b", "a")
    wait_until(lambda: len(psutil.Process(process.pid).children()) == 2, "both providers to run concurrently")
    code, stdout, _ = ended(process)
    assert code == 0
    assert [line for line in lines_of(stdout) if "stack dev" in line] == [
        "b · test_infrastructure · stack dev",
        "a · test_infrastructure · stack dev",
    ]
    done = place.dstream("init", "--all", "--yes")
    assert done.returncode == 0
    assert {line.split()[0] for line in lines_of(done.stderr)} == {"a", "b"}
    assert [line.partition(":")[0] for line in lines_of(done.stdout) if "Created" in line] == ["a", "b"]


def test_a_failing_task_does_not_stop_the_others(place: Place) -> None:
    two_tasks(place, fail={"init:orders": "locked"})
    done = place.dstream("init", "a", "b", "--yes", "--json")
    assert done.returncode == 4
    assert [task["status"] for task in json.loads(done.stdout)["tasks"]] == ["failed", "success"]
    assert (world(place, "a.json"), list(world(place, "b.json"))) == ({}, ["returns"])


def test_all_skips_tasks_without_infrastructure(place: Place) -> None:
    place.queues()
    place.task("shown", output="console")
    done = place.dstream("plan", "--all", "--out", "plan.json")
    assert done.returncode == 0
    assert "console manages no infrastructure" in done.stdout
    assert place.dstream("init", "--all", "--yes").returncode == 0
    assert place.dstream("plan", "shown").returncode == 3


def test_a_signal_cancels_all_tasks_and_a_second_one_kills(place: Place) -> None:
    two_tasks(place, slow={"init:orders": "1h"})
    path = place.folder / "dstream.hcl"
    path.write_text(
        path.read_text().replace('file = "b.json"', 'file = "b.json"\n      slow = { "init:returns" = "1h" }')
    )
    process = place.start("init", "a", "b", "--yes")

    def both_started() -> bool:
        return all((place.folder / name).exists() for name in ("a.lock", "b.lock"))

    wait_until(both_started, "both to start")
    code, _, stderr = ended(process, signal.SIGINT)
    assert code == 130
    assert stderr.count("cancelled before it finished") >= 2

    (place.folder / "deaf.py").write_text(
        "import signal, pathlib, msgspec, time\n"
        "from dstream.sdk import OutputProvider, Plan, Result, Status, StdioProviderHost\n"
        "class Config(msgspec.Struct): pass\n"
        "class Deaf(OutputProvider[Config]):\n"
        "    def status(self, context):\n"
        "        pathlib.Path('deaf').touch()\n"
        "        context.stop.wait(3600)\n"
        "        pathlib.Path('signalled').touch()\n"
        "        time.sleep(3600)\n"
        "    def plan(self, context): return Plan()\n"
        "    def init(self, context): return Result()\n"
        "    def destroy(self, context): return Result()\n"
        "StdioProviderHost(Deaf).run()\n"
    )
    path.write_text(
        'task "t" {\n  input {\n    provider = "counter"\n  }\n  output {\n    provider_path = "deaf.py"\n  }\n}\n'
    )
    process = place.start("status", "t")
    wait_until((place.folder / "deaf").exists, "the deaf provider to start")
    process.send_signal(signal.SIGINT)
    wait_until((place.folder / "signalled").exists, "the first signal to reach the provider")
    code, _, _ = ended(process, signal.SIGINT)
    assert code == 130


def test_events_are_streamed_and_the_result_comes_last(place: Place) -> None:
    place.queues(fail={"init:returns": "transient"})
    done = place.dstream("init", "t", "--yes", "--json-stream")
    assert done.returncode == 1
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["schema_version"] for event in events} == {1}
    assert [event["event"] for event in events] == ["plan", *["resource"] * 4, "result"]
    assert [(event["name"], event["phase"]) for event in events[1:5]] == [
        ("orders", "started"),
        ("orders", "done"),
        ("returns", "started"),
        ("returns", "failed"),
    ]
    assert (events[-1]["task"], events[-1]["status"]) == ("t", "failed")
    assert place.dstream("plan", "t", "--json", "--json-stream").returncode == 3


def test_destroy_and_init_mention_a_checkpoint_that_outlives_what_it_wrote_to(place: Place) -> None:
    place.queues()
    assert "checkpoint" not in place.dstream("init", "t", "--yes").stdout
    assert place.dstream("run", "t").returncode == 0
    assert "checkpoint" not in place.dstream("init", "t", "--yes").stdout
    remedy = "its next run resumes there. To start from scratch: dstream state rm t"
    assert f"The checkpoint of t remains: {remedy}" in place.dstream("destroy", "t", "--yes").stdout
    assert f"The checkpoint of t is older than what was created: {remedy}" in place.dstream("init", "t", "--yes").stdout
    assert place.dstream("state", "rm", "t", "--yes").returncode == 0
    assert "checkpoint" not in place.dstream("destroy", "t", "--yes").stdout


def test_destroy_can_be_planned_to_a_file_and_applied(place: Place) -> None:
    place.queues()
    place.dstream("init", "t", "--yes")
    planned = place.dstream("plan", "t", "--destroy", "--out", "plan.json", "--markdown", "plan.md")
    assert "Next: dstream destroy t --plan plan.json" in planned.stdout
    assert "### DStream destroy plan · stack `dev` · 2 to delete" in (place.folder / "plan.md").read_text()
    assert place.dstream("destroy", "--plan", "plan.json", "--yes").returncode == 0
    assert place.world == {"recorded": {}, "real": {}}


def test_a_running_stream_blocks_destroy_but_not_init_that_only_adds(place: Place) -> None:
    place.queues()
    place.dstream("init", "t", "--yes")
    with running(place) as process:
        refused = place.dstream("destroy", "t", "--yes")
        assert refused.returncode == 4
        assert f"(pid {process.pid}, dstream run)" in error_of(refused)
        assert "[lifecycle.running]" in error_of(refused)
        path = place.folder / "dstream.hcl"
        path.write_text(path.read_text().replace('"returns"', '"more": {}, "returns"'))
        assert place.dstream("init", "t", "--yes").returncode == 0
    assert place.world["real"].keys() == {"orders", "returns", "more"}
    assert place.dstream("destroy", "t", "--yes").returncode == 0


def test_run_is_refused_while_destroy_is_in_progress(place: Place) -> None:
    place.queues(slow={"destroy": "1h"})
    place.dstream("init", "t", "--yes")
    process = place.start("destroy", "t", "--yes")
    wait_until_applying(process)
    refused = place.dstream("run", "t")
    assert refused.returncode == 4
    assert ended(process, signal.SIGINT)[0] == 130
    assert place.world["real"] == QUEUES


def test_status_shows_drift_figures_and_the_stream(place: Place) -> None:
    place.queues(holds={"orders": 1204, "returns": 3})
    place.dstream("init", "t", "--yes")
    place.set_real({**QUEUES, "orders": {"max_delivery_count": 77}})
    done = place.dstream("status", "t", "--markdown", "status.md", "--detailed-exitcode")
    assert done.returncode == 2
    assert done.stdout == (
        "t · test_infrastructure · stack dev · checked just now\n"
        "\n"
        "  infrastructure   drift in 1 of 2\n"
        "    ~ queue  orders\n"
        "        max delivery count   10 recorded, 77 actual\n"
        "  messages         orders    1,204 active\n"
        "                   returns   3 active\n"
        "  stream           no checkpoint\n"
        "\n"
        "Fix the drift:  dstream init t\n"
        "Accept it:      dstream status t --refresh-only\n"
    )
    assert "77 actual" in (place.folder / "status.md").read_text()
    document = json.loads(place.dstream("status", "t", "--json").stdout)
    assert document["tasks"][0]["figures"][0]["values"] == {"active": 1204}


def test_plan_shows_the_capacity_that_the_provider_reports(place: Place) -> None:
    place.queues(capacity=10)
    plan = place.dstream("plan", "t").stdout
    assert "Plan: 2 to create.\nCapacity: test-infrastructure.json allows 10; this task needs 2.\n" in plan


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan"],
        ["plan", "t", "--all"],
        ["init", "t", "--yes", "--lock-timeout", "soon"],
        ["init", "t", "--plan", "p.json", "--target", "x", "--yes"],
        ["plan", "t", "--out", "x", "--show", "y"],
        ["plan", "t", "--json", "--markdown", "-"],
        ["status", "t", "--parallel", "0"],
    ],
)
def test_invalid_flags_are_a_usage_error(arguments: list[str], place: Place) -> None:
    place.queues()
    assert place.dstream(*arguments).returncode == 3


def test_doctor_reports_what_is_installed_and_what_is_missing(place: Place) -> None:
    place.queues()
    well = place.dstream("doctor", "t")
    assert well.returncode == 0
    assert "✓ output test_infrastructure" in well.stdout
    place.task("broken", output="no_such_provider")
    ill = place.dstream("doctor", "--json")
    assert ill.returncode == 3
    marks = {each["subject"]: each["mark"] for each in json.loads(ill.stdout)["findings"]}
    assert marks["output no_such_provider"] == "failure"
    assert marks["input counter"] == "ok"


def test_doctor_says_how_to_install_a_missing_engine(place: Place) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dstream", "doctor"],
        cwd=place.folder,
        env={"HOME": str(place.folder), "PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0  # no task needs it
    assert "! Pulumi engine" in done.stdout
    assert "dstream doctor --install" in done.stdout

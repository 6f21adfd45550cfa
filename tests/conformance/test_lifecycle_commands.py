"""`dstream init`, `plan`, `status` and `destroy` on the real command line."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.conformance.commands import QUEUES, Place, ended, lines_of, wait_until

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "test-infrastructure" / "dstream.hcl"
PROGRESS = re.compile(r"✓ queue  (orders|returns) +(created|updated|deleted) +\d+\.\ds")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def provider_of(process: subprocess.Popen[str], begun: str) -> psutil.Process:
    """The provider's process, once it has started work."""

    def find() -> psutil.Process | None:
        for child in psutil.Process(process.pid).children():
            if "test_infrastructure" in " ".join(child.cmdline()) and len(child.threads()) > 1:
                return child
        return None

    child: psutil.Process = wait_until(find, begun)
    return child


def test_the_example_works_from_plan_to_destroy(place: Place) -> None:
    (place.folder / "dstream.hcl").write_text(EXAMPLE.read_text())
    task = "test-infrastructure"
    plan = place.dstream("plan", task)
    assert plan.returncode == 0
    assert plan.stdout == (
        "test-infrastructure · test_infrastructure · stack dev\n"
        "\n"
        "  + queue  orders    create\n"
        "      max delivery count   10\n"
        "      lock duration        30s\n"
        "  + queue  returns   create\n"
        "      max delivery count   3\n"
        "\n"
        "Plan: 2 to create.\n"
        "\n"
        "Next: dstream init test-infrastructure\n"
    )
    missing = place.dstream("run", task)
    assert missing.returncode == 3
    assert "dstream init test-infrastructure" in missing.stderr
    init = place.dstream("init", task, "--yes")
    assert init.returncode == 0
    assert re.search(r"Created 2 in \d+\.\d s\.\n", init.stdout)
    assert place.dstream("run", task).returncode == 0
    assert len((place.folder / "test-infrastructure.rows.jsonl").read_text().splitlines()) == 10
    status = place.dstream("status", task)
    assert "infrastructure   2 as recorded" in status.stdout
    assert re.search(r"stream           checkpoint \d+ of run \w+, stored \d+\.\d s ago", status.stdout)
    assert place.dstream("destroy", task, "--yes").returncode == 0
    assert place.world == {"recorded": {}, "real": {}}


@pytest.mark.parametrize("rounds", [2, pytest.param(50, marks=pytest.mark.soak)])
def test_stderr_shows_only_progress(rounds: int, place: Place) -> None:
    for number in range(rounds):
        place.queues(slow={"plan": "20ms", "init:orders": "20ms"} if number % 2 else {})
        for command in (["plan", "t"], ["init", "t", "--yes"], ["status", "t"], ["destroy", "t", "--yes"]):
            done = place.dstream(*command)
            assert done.returncode == 0, done.stderr
            stray = [line for line in lines_of(done.stderr) if not PROGRESS.fullmatch(line)]
            assert stray == [], command


def test_init_changes_only_what_differs(place: Place) -> None:
    place.queues()
    assert place.dstream("init", "t", "--yes").returncode == 0
    place.set_real({**QUEUES, "orders": {"max_delivery_count": 77}})
    again = place.dstream("init", "t", "--yes")
    assert "max delivery count   77 → 10" in again.stdout
    assert "Updated 1, unchanged 1 in" in again.stdout
    third = place.dstream("init", "t", "--yes")
    assert third.stdout.endswith("Plan: no changes, 2 unchanged.\n")


def test_detailed_exitcode_reports_changes_and_drift(place: Place) -> None:
    place.queues()
    assert place.dstream("plan", "t", "--detailed-exitcode").returncode == 2
    place.dstream("init", "t", "--yes")
    assert place.dstream("plan", "t", "--detailed-exitcode").returncode == 0
    place.set_real({"orders": {"max_delivery_count": 77}})
    drifted = place.dstream("status", "t", "--detailed-exitcode")
    assert drifted.returncode == 2
    assert "drift in 2 of 2" in drifted.stdout
    assert "max delivery count   10 recorded, 77 actual" in drifted.stdout
    assert place.dstream("status", "t", "--refresh-only").returncode == 0
    assert place.world["recorded"] == {"orders": {"max_delivery_count": 77}}
    assert place.dstream("status", "t", "--detailed-exitcode").returncode == 0


def test_json_output_is_one_document(place: Place) -> None:
    place.queues()
    done = place.dstream("init", "t", "--yes", "--json")
    document = json.loads(done.stdout)
    assert (document["schema_version"], document["command"], document["stack"]) == (1, "init", "dev")
    (task,) = document["tasks"]
    assert (task["task"], task["status"], task["summary"], task["error"]) == ("t", "success", {"create": 2}, None)
    assert task["resources"][0]["diff"] == [{"path": "max_delivery_count", "old": None, "new": 10}]
    stream = json.loads(place.dstream("status", "t", "--json").stdout)["tasks"][0]["stream"]
    assert stream == {"checkpoint": None, "run_id": None, "stored_at": None, "error": None, "running": None}


def test_init_with_a_target_changes_only_that_resource(place: Place) -> None:
    place.queues()
    assert place.dstream("init", "t", "--yes", "--target", "returns").returncode == 0
    assert place.world["real"] == {"returns": QUEUES["returns"]}
    assert "Plan: 1 to delete." in place.dstream("plan", "t", "--destroy").stdout


@pytest.mark.parametrize("command", ["init", "destroy"])
def test_without_a_terminal_yes_is_required(command: str, place: Place) -> None:
    place.queues()
    done = place.dstream(command, "t")
    assert done.returncode == 3
    assert "--yes" in done.stderr
    assert "dstream plan t" in done.stderr
    assert not (place.folder / "test-infrastructure.json").exists()


@pytest.mark.parametrize(("answer", "code", "exists"), [(b"y\n", 0, True), (b"n\n", 1, False), (b"\x03", 130, False)])
def test_a_terminal_shows_the_plan_and_asks_for_confirmation(
    answer: bytes, code: int, exists: bool, place: Place
) -> None:
    place.queues()
    returned, shown = place.at_a_terminal(answer, "init", "t")
    assert returned == code, shown
    assert "Plan: 2 to create." in shown
    assert (place.world["real"] == QUEUES) == exists


@pytest.mark.parametrize(
    ("kind", "code"),
    [("config", 3), ("auth", 6), ("unreachable", 6), ("locked", 4), ("refused", 5), ("transient", 1), ("system", 1)],
)
def test_the_exit_code_follows_the_kind_of_error(kind: str, code: int, place: Place) -> None:
    place.queues(fail={"plan": kind})
    done = place.dstream("plan", "t")
    assert done.returncode == code
    assert lines_of(done.stderr)[0] == "Error: configured to fail at plan   [test_infrastructure.told_to_fail]"
    assert "dstream.hcl:" in done.stderr


def test_init_resumes_after_partial_failure(place: Place) -> None:
    place.queues(fail={"init:returns": "transient"})
    done = place.dstream("init", "t", "--yes")
    assert done.returncode == 1
    assert "Created 1, failed 1 in" in done.stdout
    stderr_lines = lines_of(done.stderr)
    assert [line.split()[0] for line in stderr_lines[:3]] == ["✓", "!", "Error:"]
    assert [line for line in stderr_lines[3:] if "dstream.hcl" not in line and "│" not in line] == []
    assert place.world["recorded"] == {"orders": QUEUES["orders"]}
    place.queues()
    assert "Created 1, unchanged 1 in" in place.dstream("init", "t", "--yes").stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_a_slow_command_cleanly(number: signal.Signals, code: int, place: Place) -> None:
    place.queues(slow={"init:returns": "1h"})
    process = place.start("init", "t", "--yes")
    wait_until(lambda: "orders" in place.world["real"], "the first resource")
    returned, _, stderr = ended(process, number)
    assert returned == code
    assert "cancelled before it finished" in stderr
    assert "BrokenPipe" not in stderr
    assert "Traceback" not in stderr
    assert place.world["recorded"] == {"orders": QUEUES["orders"]}


def test_a_killed_provider_fails_the_command_with_one_message(place: Place) -> None:
    place.queues(slow={"status": "1h"})
    process = place.start("status", "t")
    provider_of(process, "the provider has started work").kill()
    returned, _, stderr = ended(process)
    assert returned == 1
    assert lines_of(stderr)[0] == (
        'Error: output provider "test_infrastructure" was killed by SIGKILL without a result for status'
        "   [provider.no_result]"
    )
    assert "pipe" not in stderr.lower()


def test_a_provider_cleans_up_and_exits_when_its_host_is_killed(place: Place) -> None:
    (place.folder / "careful.py").write_text(
        "import os, pathlib, msgspec\n"
        "from dstream.sdk import OutputProvider, Plan, Resource, Result, Status, StdioProviderHost\n"
        "class Config(msgspec.Struct): pass\n"
        "class Careful(OutputProvider[Config]):\n"
        "    def status(self, context):\n"
        "        pathlib.Path('pid').write_text(str(os.getpid()))\n"
        "        context.stop.wait(3600)\n"
        "        context.resource(Resource('a'), 'done')\n"
        "        pathlib.Path('tidied').touch()\n"
        "        return Status()\n"
        "    def plan(self, context): return Plan()\n"
        "    def init(self, context): return Result()\n"
        "    def destroy(self, context): return Result()\n"
        "StdioProviderHost(Careful).run()\n"
    )
    (place.folder / "dstream.hcl").write_text(
        'task "t" {\n  input {\n    provider = "counter"\n  }\n  output {\n    provider_path = "careful.py"\n  }\n}\n'
    )
    process = place.start("status", "t")
    pid = int(
        wait_until(
            lambda: (place.folder / "pid").exists() and (place.folder / "pid").read_text(),
            "the provider has started work",
        )
    )
    ended(process, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(pid), "the provider has exited")
    assert (place.folder / "tidied").exists()


@pytest.mark.parametrize("command", [["plan"], ["init", "--yes"], ["status"], ["destroy", "--yes"]])
def test_an_input_in_the_output_block_is_refused_before_line_1(command: list[str], place: Place) -> None:
    place.task(output="counter", intervall="unknown setting, but the provider never sees it")
    done = place.dstream(command[0], "t", *command[1:])
    assert done.returncode == 3
    assert lines_of(done.stderr) == [
        'Error: "counter" is an input provider and doesn\'t support lifecycle commands   [provider.no_lifecycle]',
        'dstream.hcl:9:3  task "t", output',
        "9 │   output {",
        "It reads data; it neither writes it nor manages infrastructure. Did you swap input and output?",
    ]


@pytest.mark.parametrize("command", [["plan"], ["init", "--yes"], ["destroy", "--yes"]])
def test_an_output_without_infrastructure_has_no_lifecycle(command: list[str], place: Place) -> None:
    place.task(output="console")
    done = place.dstream(command[0], "t", *command[1:])
    assert done.returncode == 3
    assert '"console" is an output provider without infrastructure' in done.stderr
    assert 'task "t", output' in done.stderr


def test_status_of_an_output_without_infrastructure_shows_the_stream(place: Place) -> None:
    place.task(output="console")
    assert place.dstream("run", "t").returncode == 0
    done = place.dstream("status", "t")
    assert (done.returncode, done.stderr) == (0, "")
    assert "infrastructure   none: console manages none" in done.stdout
    assert re.search(r"stream           checkpoint \d+ of run", done.stdout)


def test_status_shows_a_run_in_progress(place: Place) -> None:
    place.task(output="console")
    path = place.folder / "dstream.hcl"
    path.write_text(path.read_text().replace("count = 5", "count = 1000000"))
    process = place.start("run", "t", "--log-level", "error")
    wait_until(lambda: list((place.folder / ".dstream").glob("state/*/t.json")), "a checkpoint")
    live = place.dstream("status", "t")
    ended(process, signal.SIGTERM)
    assert re.search(rf"streaming since 20\S+ \(pid {process.pid}\) · checkpoint \d+ of run", live.stdout)
    assert "streaming" not in place.dstream("status", "t").stdout


def test_run_checks_the_roles_of_both_blocks(place: Place) -> None:
    place.task("swapped_input", input_="console", output="console")
    place.task("swapped_output", output="counter")
    for name in ("swapped_input", "swapped_output"):
        done = place.dstream("run", name)
        assert done.returncode == 3
        assert "Did you swap input and output?" in done.stderr
        assert "dstream.hcl:" in done.stderr


def test_no_task_changes_unless_all_tasks_can(place: Place) -> None:
    place.queues()
    place.task("other", output="console")
    done = place.dstream("init", "t", "other", "--yes")
    assert done.returncode == 3
    assert place.world["real"] == {}


def test_config_secrets_are_never_shown(place: Place) -> None:
    secret = {"connection_string": "Endpoint=sb://x;SharedAccessKey=canary-7f3a9b"}
    place.task(resources={"orders": secret})
    for command in (["plan", "t", "--json"], ["init", "t", "--yes", "--log-format", "json"]):
        done = place.dstream(*command)
        assert done.returncode == 0
        assert "canary-7f3a9b" not in done.stdout + done.stderr

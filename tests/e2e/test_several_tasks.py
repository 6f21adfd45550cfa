"""`dstream run A B` and `--all`: concurrent, isolated, one exit code. Also the options that limit or reset a run."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from dstream.host import ask_host, socket_path
from tests.running import DStream, wait_until

TASK = """
task "%s" {
  input {
    provider = "counter"
    config {
      interval = "10ms"
      count    = %s
    }
  }
  output {
    %s
    config {}
  }
}
"""
CONSOLE = 'provider = "console"'
FAILS = 'provider_path = "./fails"'
FAILING_OUTPUT = """#!/bin/sh
echo '{"dstream":"hello","protocol":1,"role":"output","name":"fails","version":"1","capabilities":["ack"]}'
read -r line_1
echo '{"status":"ready"}'
read -r row
echo '{"dstream":"error","code":"fails.so","kind":"data","message":"this row cannot be written"}'
"""


@pytest.fixture
def tasks(tmp_path: Path) -> Callable[..., DStream]:
    """`tasks(name=(count, output))` returns a folder with these tasks; count 0 never ends."""

    def make(**outputs: tuple[int, str]) -> DStream:
        fails = tmp_path / "fails"
        fails.write_text(FAILING_OUTPUT)
        fails.chmod(0o755)
        hcl = "".join(TASK % (name, count or "null", output) for name, (count, output) in outputs.items())
        (tmp_path / "dstream.hcl").write_text(hcl)
        return DStream(tmp_path)

    return make


def events(stderr: str, name: str) -> list[dict[str, str]]:
    lines = [json.loads(line) for line in stderr.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


def test_all_tasks_run_concurrently_and_each_is_reported(tasks: Callable[..., DStream]) -> None:
    done = tasks(a=(3, CONSOLE), b=(5, CONSOLE))("run", "--all", "--json")
    assert done.returncode == 0, done.stderr
    runs = {run["task"]: run for run in json.loads(done.stdout)["runs"]}
    assert {name: (run["rows"], run["drained"], run["exit_code"]) for name, run in runs.items()} == {
        "a": (3, True, 0),
        "b": (5, True, 0),
    }


def test_a_failing_task_sets_the_exit_code_but_does_not_stop_others(
    tasks: Callable[..., DStream],
) -> None:
    dstream = tasks(bad=(3, FAILS), good=(0, CONSOLE))
    with dstream.running("run", "bad", "good", "--log-format", "json") as run:
        run.says("this row cannot be written")
        run.says('"task": "good"')
        settled = status(dstream, "good")["rows"]
        wait_until(lambda: status(dstream, "good")["rows"] > settled, "the other task to continue")
        run.process.send_signal(signal.SIGTERM)
        assert run.ended() == 1, run.stderr
    assert [(event["task"], event["drained"]) for event in events(run.stderr, "run.finished")] == [("good", True)]


def test_fail_fast_drains_the_other_tasks(tasks: Callable[..., DStream]) -> None:
    done = tasks(bad=(3, FAILS), good=(0, CONSOLE))("run", "--all", "--fail-fast", "--json", timeout_s=60)
    assert done.returncode == 1
    runs = {run["task"]: run for run in json.loads(done.stdout)["runs"]}
    assert runs["bad"]["error"]["code"] == "fails.so"
    assert runs["good"]["drained"] is True


def test_the_document_of_a_single_run_says_why_it_failed(tasks: Callable[..., DStream]) -> None:
    done = tasks(bad=(3, FAILS))("run", "bad", "--json")
    document = json.loads(done.stdout)
    assert (document["phase"], document["exit_code"], done.returncode) == ("failed", 1, 1)
    assert document["error"].keys() == {"code", "kind", "message", "hint", "place"}
    assert document["error"]["code"] == "fails.so"
    assert document["error"]["place"].startswith("dstream.hcl:")


def test_ctrl_c_drains_all_tasks(tasks: Callable[..., DStream]) -> None:
    with tasks(a=(0, CONSOLE), b=(0, CONSOLE)).running("run", "--all", "--log-format", "json") as run:
        wait_until(lambda: len(events(run.stderr, "run.started")) == 2, "both to run")
        run.process.send_signal(signal.SIGINT)
        assert run.ended() == 0, run.stderr
    assert [event["drained"] for event in events(run.stderr, "run.finished")] == [True, True]


def test_a_killed_provider_restarts_its_own_task_only(tasks: Callable[..., DStream]) -> None:
    dstream = tasks(a=(0, CONSOLE), b=(0, CONSOLE))
    with dstream.running("run", "--all", "--log-format", "json") as run:
        wait_until(lambda: len(events(run.stderr, "run.started")) == 2, "both to run")
        ready = {(event["task"], event["role"]): event["pid"] for event in events(run.stderr, "provider.ready")}
        os.kill(int(ready["a", "output"]), signal.SIGKILL)
        run.says("run.restarted")
        assert {event["task"] for event in events(run.stderr, "run.restarting")} == {"a"}
        assert all(psutil.pid_exists(int(ready["b", role])) for role in ("input", "output"))
        run.process.send_signal(signal.SIGINT)
        assert run.ended() == 0, run.stderr


def test_no_restart_exits_on_the_first_failure(tasks: Callable[..., DStream]) -> None:
    dstream = tasks(a=(0, CONSOLE))
    with dstream.running("run", "a", "--no-restart", "--log-format", "json") as run:
        run.says("run.started")
        (output,) = [event["pid"] for event in events(run.stderr, "provider.ready") if event["role"] == "output"]
        os.kill(int(output), signal.SIGKILL)
        assert run.ended() == 1
    assert "was killed by SIGKILL" in run.stderr
    assert not events(run.stderr, "run.restarting")


def test_a_run_can_be_limited_by_time_or_rows(tasks: Callable[..., DStream]) -> None:
    dstream = tasks(a=(0, CONSOLE))
    timed = dstream("run", "a", "--duration", "200ms", "--json")
    assert timed.returncode == 0, timed.stderr
    assert json.loads(timed.stdout)["drained"] is True
    counted = json.loads(dstream("run", "a", "--max-rows", "7", "--json").stdout)
    assert counted["drained"] is True
    assert 7 <= counted["rows"] < 100
    assert dstream("run", "a", "--duration", "soon").returncode == 3
    assert dstream("run", "a", "--max-rows", "0").returncode == 3


def test_reset_deletes_the_checkpoint_and_allows_from(tasks: Callable[..., DStream]) -> None:
    dstream = tasks(a=(3, CONSOLE))
    assert dstream("run", "a").returncode == 0
    assert dstream("run", "a", "--from", "earliest").returncode == 5
    done = dstream("run", "a", "--from", "earliest", "--reset", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 3
    assert "state.reset" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("a", "--all")], ids=["none", "both"])
def test_run_requires_task_names_or_all_but_not_both(tasks: Callable[..., DStream], arguments: tuple[str, ...]) -> None:
    done = tasks(a=(3, CONSOLE))("run", *arguments)
    assert done.returncode == 3
    assert "--all" in done.stderr


def test_the_control_socket_is_next_to_the_hcl_file(tasks: Callable[..., DStream]) -> None:
    dstream = tasks(a=(0, CONSOLE))
    with dstream.running("run", "a") as run:
        run.says("run.started")
        assert status(dstream, "a")["pid"] == run.process.pid
        assert ask_host(socket_path(dstream.cwd / ".dstream" / "run", "dev", "a"), "stop")
        assert run.ended() == 0, run.stderr


def status(dstream: DStream, task: str) -> dict[str, int]:
    answer = ask_host(socket_path(dstream.cwd / ".dstream" / "run", "dev", task), "status")
    assert answer is not None
    return answer

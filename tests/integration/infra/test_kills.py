"""Whoever is killed at whatever moment: the next init converges, nothing is made twice and nothing is forgotten."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest

from tests.integration.infra.driving import Stage, ended
from tests.running import wait_until

KILLS = [
    ("kill-engine", "create", "q1", "after"),
    ("kill-engine", "create", "q2", "before"),
    ("kill-provider", "create", "q1", "before"),
    ("kill-provider", "create", "q2", "after"),
    ("kill-both", "create", "q1", "after"),
    ("kill-both", "create", "q2", "before"),
    ("kill-engine", "update", "q1", "after"),
    ("kill-both", "delete", "q2", "after"),
]


@pytest.mark.parametrize(("what", "op", "name", "when"), KILLS)
def test_after_a_kill_the_next_init_converges(stage: Stage, what: str, op: str, name: str, when: str) -> None:
    wanted = dict(stage.queues)
    if op == "update":
        stage("init")
        stage.queues = {**wanted, "q1": {"size": 5}}
    elif op == "delete":
        stage("init")
        stage.queues = {"q1": wanted["q1"]}
    stage.faults({"op": op, "name": name, "when": when, "do": what})
    process = stage.start("init")
    if what == "kill-engine":
        answer = ended(process)
        assert answer.error["code"] == "infra.interrupted"
        assert f"under way, and perhaps half done: {name}" in answer.error["message"]
    else:
        assert process.wait() == -signal.SIGKILL
    wait_until(lambda: not engines_of(stage), "no engine lives on")

    assert set(stage("init", lock_timeout_s=20).ops) == set(stage.queues)
    assert set(stage.real) == set(stage.queues)
    assert stage.recorded == sorted(stage.queues)
    assert sorted(set(stage.world.calls)) == sorted(stage.world.calls) or op == "update", "nothing was done twice"
    assert stage("plan").ops == dict.fromkeys(stage.queues, "same")


def test_ctrl_c_lets_the_step_at_hand_finish_and_says_what_was_done(stage: Stage) -> None:
    gate = stage.cloud / "gate"
    stage.queues["q3"] = {"_after": "q2"}
    stage.faults({"op": "create", "name": "q2", "when": "before", "do": "wait", "file": "gate"})
    process = stage.start("init")
    wait_until(gate.with_suffix(".reached").exists, "q2 is being made")
    process.send_signal(signal.SIGINT)
    wait_until((stage.cloud / "cancelled").exists, "the engine passes it on")
    gate.touch()
    error = ended(process).error
    assert (error["code"], error["hint"]) == ("infra.interrupted", "`dstream init` again finishes it.")
    assert error["message"] == "init was interrupted; done before: q1, q2"
    assert stage.locks == []
    assert stage.recorded == ["q1", "q2"]
    assert stage("init").ops == {"q1": "same", "q2": "same", "q3": "create"}


def engines_of(stage: Stage) -> list[psutil.Process]:
    """Engines at work in the stage's folder."""
    found = []
    for each in psutil.process_iter():
        try:
            if each.name() == "pulumi" and each.status() != "zombie" and Path(each.cwd()).is_relative_to(stage.folder):
                found.append(each)
        except psutil.Error:
            continue
    return found

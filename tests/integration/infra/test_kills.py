"""Whichever process is killed, and whenever, the next init converges: nothing is created twice or orphaned."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.integration.infra.driving import Stage, ended
from tests.running import wait_until

KILLS = [
    ("kill-engine", "create", "q1", "after"),
    ("kill-engine", "create", "q2", "before"),
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
        assert f"possibly incomplete: {name}" in answer.error["message"]
    else:
        assert process.wait() == -signal.SIGKILL
    wait_until(lambda: not engines_of(stage), "every engine to exit")

    resumed = stage("init", lock_timeout_s=20)
    # If the killed command left only the outputs unrecorded, they are listed, too.
    assert resumed.ops.keys() - resumed.outputs.keys() == set(stage.queues)
    assert set(stage.real) == set(stage.queues)
    assert stage.recorded == sorted(stage.queues)
    assert sorted(set(stage.world.calls)) == sorted(stage.world.calls) or op == "update", "something was done twice"
    assert {name: each.get("size") for name, each in stage.real.items()} == {
        name: each["size"] for name, each in stage.queues.items()
    }


@pytest.mark.usefixtures("initialized")
def test_a_replacement_killed_between_deletion_and_creation_has_nothing_left_to_lose(stage: Stage) -> None:
    stage.set_real("q1", messages=5)
    stage("status", refresh_only=True)
    stage.set_real("q1")
    saved = json.loads(stage.state.read_text())
    for each in saved["checkpoint"]["latest"]["resources"]:
        if each["urn"].endswith("::q1"):
            each["pendingReplacement"] = True  # as the engine records it once the deletion is done
    stage.state.write_text(json.dumps(saved))
    stage.queues = {**stage.queues, "q1": {**stage.queues["q1"], "sessions": True}}

    assert stage("init").ops["q1"] == "replace"
    assert stage.real["q1"]["sessions"] is True


@pytest.mark.usefixtures("initialized")
def test_init_recovers_from_a_torn_attributes_file(stage: Stage) -> None:
    (attributes,) = stage.folder.rglob("stacks/**/*.json.attrs")
    attributes.write_text("")

    assert stage("init").ops == dict.fromkeys(stage.queues, "same")


@pytest.mark.parametrize("is_empty", [True, False])
@pytest.mark.usefixtures("initialized")
def test_a_record_that_a_killed_destroy_left_is_deleted_by_the_next_one(stage: Stage, is_empty: bool) -> None:
    """It is empty, or everything in it has been deleted."""
    for name in ("q1", "q2"):
        stage.set_real(name)
    if is_empty:
        saved = json.loads(stage.state.read_text())
        saved["checkpoint"]["latest"]["resources"] = []
        stage.state.write_text(json.dumps(saved))

    assert stage("plan", destroy=True).ops == {"dev": "delete"}
    assert stage("destroy").ops == {"dev": "delete"}

    assert not stage.state.exists()
    assert stage("plan", destroy=True).ops == {}


def test_ctrl_c_finishes_the_current_step_and_reports_what_was_done(stage: Stage) -> None:
    gate = stage.cloud / "gate"
    stage.queues["q3"] = {"_after": "q2"}
    stage.faults({"op": "create", "name": "q2", "when": "before", "do": "wait", "file": "gate"})
    process = stage.start("init")
    wait_until(gate.with_suffix(".reached").exists, "the creation of q2 to start")
    (stage.cloud / "cancelled").unlink()  # from the preview, whose end looks like a cancellation
    process.send_signal(signal.SIGINT)
    wait_until((stage.cloud / "cancelled").exists, "the engine to pass the cancellation on")
    gate.touch()
    error = ended(process).error
    assert (error["code"], error["hint"]) == ("infra.interrupted", "Run `dstream init` again to resume.")
    assert error["message"] == "init was interrupted; completed: q1, q2"
    assert stage.locks == []
    assert stage.recorded == ["q1", "q2"]
    assert stage("init").ops == {"q1": "same", "q2": "same", "q3": "create"}


def test_an_orphaned_engine_exits_and_leaves_its_step_pending(stage: Stage) -> None:
    """As with a cloud's own plugin. The cloud completes the current creation whether or not the engine waits."""
    command = [sys.executable, "-m", "tests.integration.infra.cloud", str(stage.cloud)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as cloud:
        assert cloud.stdout is not None
        stage.env = {"PULUMI_DEBUG_PROVIDERS": f"cloud:{int(cloud.stdout.readline())}"}
        stage.more["serves_itself"] = False
        stage.faults({"op": "create", "name": "q1", "when": "before", "do": "wait", "file": "gate"})
        process = stage.start("init")
        wait_until((stage.cloud / "gate.reached").exists, "the creation of q1 to start")
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.close()
        (stage.cloud / "gate").touch()
        wait_until(lambda: "q1" in stage.real, "the cloud to complete the creation")
        wait_until(lambda: not engines_of(stage), "the engine to exit")
        assert set(stage("init").ops) == {"q1", "q2"}
        assert stage.locks == []
        assert stage.recorded == ["q1", "q2"]
        assert stage.world.calls == ["create q1", "create q2"]
        cloud.communicate()


def engines_of(stage: Stage) -> list[psutil.Process]:
    """The engines running in the stage's folder."""
    found = []
    for each in psutil.process_iter():
        try:
            if each.name() == "pulumi" and each.status() != "zombie" and Path(each.cwd()).is_relative_to(stage.folder):
                found.append(each)
        except psutil.Error:
            continue
    return found

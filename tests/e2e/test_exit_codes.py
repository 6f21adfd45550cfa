"""The exit codes in docs/reference/cli.md, each from every command that can return it, on the real command line."""

from __future__ import annotations

import fcntl
import json
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.commands import Place, ended, wait_until

ROOT = Path(__file__).parent.parent.parent
Given = Callable[[Place], None]


def nothing(place: Place) -> None:
    place.queues()


def provisioned(place: Place) -> None:
    """`init` has created and recorded the resources."""
    place.queues()
    place.set_real({})
    world = json.dumps({"real": _queues(), "recorded": _queues()})
    (place.folder / "test-infrastructure.json").write_text(world)


def drifted(place: Place) -> None:
    provisioned(place)
    place.set_real({**_queues(), "orders": {"max_delivery_count": 77}})


def holding(place: Place) -> None:
    provisioned(place)
    place.queues(holds={"orders": 3})


def failing(step: str, kind: str) -> Given:
    def given(place: Place) -> None:
        provisioned(place)
        (place.folder / "test-infrastructure.json").unlink() if step.startswith("init") else None
        place.queues(fail={step: kind})

    return given


def ran(place: Place) -> None:
    """A run has stored a checkpoint."""
    place.task(output="console")
    assert place.dstream("run", "t").returncode == 0


def planned(place: Place) -> None:
    """A plan is saved in a file, and the configuration has changed since."""
    place.queues()
    assert place.dstream("plan", "t", "--out", "plan.json").returncode == 0
    place.queues(capacity=1)


def broken(place: Place) -> None:
    (place.folder / "dstream.hcl").write_text('task "t" {\n')


def without_provider(place: Place) -> None:
    place.task(output="no_such_provider")


def _queues() -> dict[str, dict[str, int]]:
    return {"orders": {"max_delivery_count": 10}, "returns": {"max_delivery_count": 3}}


CASES: list[tuple[int, Given, str]] = [
    (0, nothing, "plan t"),
    (0, nothing, "init t --yes"),
    (0, provisioned, "init t --yes"),
    (0, provisioned, "plan t --detailed-exitcode"),
    (0, drifted, "status t"),
    (0, provisioned, "status t --detailed-exitcode"),
    (0, provisioned, "destroy t --yes"),
    (0, nothing, "destroy t --yes"),
    (0, provisioned, "run t"),
    (0, nothing, "unlock t"),
    (0, nothing, "doctor t"),
    (0, nothing, "validate"),
    (0, nothing, "list"),
    (0, ran, "state show t"),
    (0, ran, "state rm t --yes"),
    (0, nothing, "provider list"),
    (0, nothing, "version"),
    (0, nothing, "completion bash"),
    (0, nothing, "--help"),
    (1, failing("plan", "transient"), "plan t"),
    (1, failing("plan", "system"), "init t --yes"),
    (1, failing("init:returns", "transient"), "init t --yes"),
    (1, failing("status", "system"), "status t"),
    (1, failing("destroy", "transient"), "destroy t --yes"),
    (1, failing("write", "transient"), "run t --no-restart"),
    (1, failing("write", "unreachable"), "run t --no-restart"),
    (2, nothing, "plan t --detailed-exitcode"),
    (2, provisioned, "plan t --destroy --detailed-exitcode"),
    (2, drifted, "status t --detailed-exitcode"),
    (3, nothing, "plan no-such-task"),
    (3, nothing, "plan t --no-such-flag"),
    (3, nothing, "plan --show no-such-file"),
    (3, nothing, "init t"),
    (3, nothing, "destroy t"),
    (3, nothing, "init --plan no-such-file --yes"),
    (3, nothing, "run t"),
    (3, nothing, "run no-such-task"),
    (3, nothing, "unlock no-such-task"),
    (3, without_provider, "doctor"),
    (3, without_provider, "status t"),
    (3, broken, "validate"),
    (3, broken, "list"),
    (3, broken, "plan t"),
    (3, ran, "state rm t"),
    (3, nothing, "state export t"),
    (3, nothing, "provider show no_such_provider"),
    (3, nothing, "completion no-such-shell"),
    (3, nothing, "no-such-command"),
    (4, failing("plan", "locked"), "plan t"),
    (4, failing("init", "locked"), "init t --yes"),
    (4, failing("status", "locked"), "status t"),
    (4, failing("destroy", "locked"), "destroy t --yes"),
    (5, planned, "init t --plan plan.json --yes"),
    (5, planned, "destroy t --plan plan.json --yes"),
    (5, holding, "destroy t --yes"),
    (5, failing("status", "refused"), "status t"),
    (5, ran, "run t --from earliest"),
    (6, failing("plan", "auth"), "plan t"),
    (6, failing("init", "unreachable"), "init t --yes"),
    (6, failing("status", "unreachable"), "status t"),
    (6, failing("destroy", "auth"), "destroy t --yes"),
    (6, failing("write", "auth"), "run t"),
]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize(("code", "given", "command"), CASES, ids=[f"{code} {command}" for code, _, command in CASES])
def test_a_command_exits_with_the_documented_code(code: int, given: Given, command: str, place: Place) -> None:
    given(place)
    done = place.dstream(*command.split())
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["run t", "state rm t --yes", "destroy t --yes"])
def test_a_locked_task_exits_with_4(command: str, place: Place) -> None:
    provisioned(place)
    assert place.dstream("run", "t").returncode == 0
    (lock,) = place.folder.glob(".dstream/state/*/t.lock")
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert place.dstream(*command.split()).returncode == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_exits_with_128_plus_the_signal(number: signal.Signals, place: Place) -> None:
    place.queues(slow={"init:returns": "1h"})
    process = place.start("init", "t", "--yes")
    wait_until(lambda: "orders" in place.world["real"], "the first resource")
    assert ended(process, number)[0] == 128 + number


def test_the_docs_list_exactly_these_codes() -> None:
    table = re.findall(r"^\| (\d+|128\+n) \|", (ROOT / "docs" / "reference" / "cli.md").read_text(), re.MULTILINE)
    assert table == [*dict.fromkeys(str(code) for code, _, _ in CASES), "128+n"]

"""One command at a time on a stack: who waits for whom, and which lock is taken away."""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from dstream.infra.engine import locks
from dstream.infra.engine.unlock import release
from dstream.protocol.messages import Infrastructure
from tests.integration.infra.driving import Stage, ended
from tests.running import wait_until


def test_the_second_of_two_inits_says_who_is_at_work_or_waits_for_him(stage: Stage) -> None:
    gate = stage.cloud / "gate"
    stage.faults({"op": "create", "name": "q1", "when": "before", "do": "wait", "file": "gate"})
    first = stage.start("init")
    wait_until(gate.with_suffix(".reached").exists, "q1 is being made")
    assert stage("plan").ops == {"q1": "create", "q2": "create"}  # takes no lock

    error = stage("init").error
    assert (error["code"], error["kind"]) == ("infra.locked", "locked")
    assert f"@{socket.gethostname()} (pid " in error["message"]

    waiting = stage.start("init", lock_timeout_s=60)
    told = b""
    while b"waiting for" not in told:
        told = waiting.stdout.readline()
        assert told
    gate.touch()
    assert ended(first).ops == {"q1": "create", "q2": "create"}
    assert ended(waiting).ops == {"q1": "same", "q2": "same"}
    assert stage.world.calls == ["create q1", "create q2"]


def test_a_dead_holders_lock_is_removed_and_a_living_ones_is_not(stage: Stage) -> None:
    stage.queues = {"q1": {}}
    stage("init")
    stage.queues = {"q1": {"size": 2}}
    living = lock(stage, pid=os.getpid())
    infrastructure = Infrastructure("orders", "dev", str(stage.infra / "orders" / "dev"))
    (holder,) = locks.holders(infrastructure, os.environ)
    assert (holder.pid, holder.user, holder.host) == (os.getpid(), "ann", socket.gethostname())
    assert stage("init").error["code"] == "infra.locked"
    living.unlink()

    elsewhere = lock(stage, pid=2**22 - 1, host="another-host")
    assert "ann@another-host" in stage("init").error["message"]
    assert [each.host for each in release(infrastructure, os.environ)] == ["another-host"]
    assert not elsewhere.exists()

    dead = lock(stage, pid=2**22 - 1)
    answer = stage("init")
    assert answer.ops == {"q1": "update"}
    assert "the process no longer exists" in answer.diagnostics[0]
    assert not dead.exists()


def lock(stage: Stage, *, pid: int, host: str = "") -> Path:
    """As the engine writes one."""
    folder = stage.infra / ".pulumi" / "locks" / "organization" / "orders" / "dev"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{uuid4()}.json"
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    content = {"pid": pid, "username": "ann", "hostname": host or socket.gethostname(), "timestamp": now}
    file.write_text(json.dumps(content))
    return file

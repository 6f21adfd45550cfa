"""One command at a time per stack: which command waits, and which locks are removed."""

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


def test_a_second_init_names_the_lock_holder_or_waits(stage: Stage) -> None:
    gate = stage.cloud / "gate"
    stage.faults({"op": "create", "name": "q1", "when": "before", "do": "wait", "file": "gate"})
    first = stage.start("init")
    wait_until(gate.with_suffix(".reached").exists, "the creation of q1 to start")
    plan = stage("plan")  # takes no lock
    assert plan.ops == {"q1": "create", "q2": "create"}
    assert [each.partition(" since ")[2][20:] for each in plan.diagnostics] == ["UTC is changing q1"], "it is not dead"

    error = stage("init").error
    assert (error["code"], error["kind"]) == ("infra.locked", "locked")
    assert f"@{socket.gethostname()} (pid " in error["message"]
    assert ", dstream init) since " in error["message"]

    waiting = stage.start("init", lock_timeout_s=60)
    told = b""
    while b"waiting for" not in told:
        told = waiting.stdout.readline()
        assert told
    gate.touch()
    assert ended(first).ops == {"q1": "create", "q2": "create"}
    assert ended(waiting).ops == {"q1": "same", "q2": "same"}
    assert stage.world.calls == ["create q1", "create q2"]


def test_only_the_lock_of_a_dead_holder_is_removed(stage: Stage) -> None:
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
    """Write a lock as the engine does."""
    folder = stage.infra / ".pulumi" / "locks" / "organization" / "orders" / "dev"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{uuid4()}.json"
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    content = {"pid": pid, "username": "ann", "hostname": host or socket.gethostname(), "timestamp": now}
    file.write_text(json.dumps(content))
    return file

"""The engine on a disk that is read-only, or fills up while it works."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.infra.driving import Stage, ended
from tests.running import wait_until

NOTE = "n" * 5000
"""Makes each version of the record larger than the blocks that the previous one frees."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("only root can mount a file system")
    yield disk
    subprocess.run(["umount", disk], check=True)


@contextlib.contextmanager
def filled(disk: Path) -> Iterator[None]:
    file = disk / "filling"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while os.write(descriptor, bytes(4096)):
            pass
    os.close(descriptor)
    yield
    file.unlink()


def test_init_resumes_after_the_disk_was_full(stage: Stage, small_disk: Path) -> None:
    stage.backend_url = small_disk.as_uri()
    stage.queues = {name: {"note": NOTE} for name in ("q1", "q2", "q3")}
    for before, name in (("q1", "q2"), ("q2", "q3")):
        stage.queues[name]["_after"] = before
    stage.faults({"op": "create", "name": "q2", "when": "after", "do": "wait", "file": "gate"})
    process = stage.start("init")
    wait_until((stage.cloud / "gate.reached").exists, "the creation of q2")
    record = small_disk / ".pulumi" / "stacks" / "orders" / "dev.json"
    kept = record.with_name("dev.json.kept")
    wait_until(lambda: kept.exists() and kept.samefile(record), "the record to be kept")
    with filled(small_disk):
        (stage.cloud / "gate").touch()
        error = ended(process).error
        assert error["code"] == "infra.disk_full"
        assert str(record) in error["message"]
        assert "init" in error["hint"]
        refused = stage("init").error
        assert (refused["code"], "0.0 MB" in refused["message"]) == ("infra.disk_full", True)

    assert set(stage("init").ops) == set(stage.queues)
    assert stage.world.calls == ["create q1", "create q2", "create q3"], "something was created twice"


def test_commands_that_only_read_work_on_a_read_only_disk_and_others_change_nothing(
    stage: Stage, small_disk: Path
) -> None:
    stage.backend_url = small_disk.as_uri()
    stage("init")
    calls = stage.world.calls
    stage.queues["q1"] = {"size": 5}
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    try:
        assert stage("plan").ops == {"q1": "update", "q2": "same"}
        assert stage("status").ops == {"q1": "same", "q2": "same"}
        for command, options in (("init", {}), ("destroy", {}), ("status", {"refresh_only": True})):
            error = stage(command, **options).error
            assert (error["code"], str(small_disk) in error["message"]) == ("infra.not_writable", True)
    finally:
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    assert stage.world.calls == calls
    assert stage("init").ops == {"q1": "update", "q2": "same"}

"""Whatever a checkout contains, `plan --untrusted` and `validate --static --untrusted` run none of it, read nothing
outside it, show nothing of the environment, change nothing in it, and end soon."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.e2e.hostile_checkouts.checkouts import BOMBS, CHECKOUTS, QUEUE, SLOW_BOMBS, Checkout
from tests.e2e.hostile_checkouts.opened_files import opened_files
from tests.running import BIN, DStream, Sandbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify, and the limit of memory, need Linux")

MOST_CPU_S = 10.0
MOST_MEMORY_KB = 500_000
_CANARY = "canary"
_ENVIRONMENT = {"AWS_SECRET_ACCESS_KEY": f"{_CANARY}-of-the-environment", "GITHUB_TOKEN": f"{_CANARY}-token"}
_STATIC = ("validate", "--static", "--untrusted")


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text(f"{_CANARY} = 1\n")
    (folder / "notes").write_text(f"{_CANARY}\n")
    with opened_files(folder) as names:
        yield folder
    assert names == set()
    assert sorted(os.listdir(folder)) == ["notes", "secret"]
    assert (folder / "secret").read_text() == f"{_CANARY} = 1\n"


@pytest.fixture
def ran(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "ran"
    folder.mkdir()
    yield folder
    assert os.listdir(folder) == []


@pytest.fixture
def dstream(sandbox: Sandbox, tmp_path: Path) -> DStream:
    """The command in the folder `checkout`."""
    for name in ("checkout", "temporary"):
        (tmp_path / name).mkdir()
    own = {"PATH": f"{BIN}:/usr/bin:/bin", "TMPDIR": str(tmp_path / "temporary")}
    return DStream(tmp_path / "checkout", {**sandbox.env, **own, **_ENVIRONMENT})


def content(folder: Path, written: Sequence[str] = ()) -> dict[str, bytes | str]:
    """The files and links in a folder, without those that the command was told to write."""
    paths = [path for path in folder.rglob("*") if (path.is_symlink() or path.is_file()) and path.name not in written]
    return {str(path): os.readlink(path) if path.is_symlink() else path.read_bytes() for path in paths}


@pytest.mark.parametrize("checkout", CHECKOUTS.values(), ids=CHECKOUTS)
def test_a_hostile_checkout_gets_nothing(checkout: Checkout, dstream: DStream, ran: Path, outside: Path) -> None:
    checkout.write(dstream.cwd, ran, outside)
    before = content(dstream.cwd, checkout.options)
    done = dstream("plan", "--all", "--untrusted", *checkout.options)
    assert done.returncode == checkout.exits, done.stderr
    for each in (done, dstream(*_STATIC), dstream("list", "--untrusted")):
        assert _CANARY not in each.stdout + each.stderr
        assert "root:" not in each.stdout + each.stderr
        assert "Traceback" not in each.stderr
    assert content(dstream.cwd, checkout.options) == before
    if checkout.exits == 5:
        assert "untrusted.refused" in done.stderr


@pytest.mark.parametrize(
    ("name", "command"),
    [
        pytest.param(name, command, id=f"{name}-{label}", marks=[pytest.mark.soak] * (f"{name}-{label}" in SLOW_BOMBS))
        for name in BOMBS
        for label, command in {"plan": ("plan", "--all", "--untrusted"), "static": ("validate", "--static")}.items()
    ],
)
def test_a_hostile_checkout_does_not_use_much_time_or_memory(
    name: str, command: Sequence[str], dstream: DStream, ran: Path, outside: Path
) -> None:
    BOMBS[name].write(dstream.cwd, ran, outside)
    done = subprocess.run(
        [sys.executable, "-I", "-c", _MEASURED, BIN / "dstream", *command],
        cwd=dstream.cwd,
        env=dstream.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == BOMBS[name].exits, done.stderr
    cpu_s, memory_kb = map(float, done.stdout.split())
    assert cpu_s < MOST_CPU_S
    assert memory_kb < MOST_MEMORY_KB


_MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(code)
"""
"""A process of its own, because the memory of a program counts from its fork: it would be that of the tests."""


def test_a_record_in_the_checkout_is_ignored_if_another_one_is_used(
    dstream: DStream, ran: Path, outside: Path, tmp_path: Path
) -> None:
    CHECKOUTS["14-record"].write(dstream.cwd, ran, outside)
    before = content(dstream.cwd)
    record = tmp_path / "record"
    done = DStream(dstream.cwd, {**dstream.env, "PULUMI_BACKEND_URL": record.as_uri()})("plan", "orders", "--untrusted")
    assert done.returncode == 0, done.stderr
    assert "1 to create" in done.stdout
    assert content(dstream.cwd) == before


@pytest.mark.parametrize("command", ["init", "destroy"])
def test_an_untrusted_file_changes_nothing(dstream: DStream, command: str) -> None:
    (dstream.cwd / "dstream.hcl").write_text(QUEUE)
    done = dstream(command, "orders", "--yes", "--untrusted")
    assert done.returncode == 5
    assert f"{command} changes nothing for an untrusted file" in done.stderr

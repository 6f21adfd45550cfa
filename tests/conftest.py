"""Fixtures of all suites."""

from __future__ import annotations

import math
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.running import DStream, Sandbox

ROOT = Path(__file__).parent.parent

if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    # We start hundreds of processes: without bytecode each compiles all that it imports, half of the suite's time.
    # Whoever wants none beside the code still has none there.
    sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(ROOT / ".pytest_cache" / "bytecode")
    sys.dont_write_bytecode = False


def _forbid_forks(event: str, _: tuple[object, ...]) -> None:
    if event in ("os.fork", "os.forkpty"):
        raise RuntimeError("no test may fork: gRPC and other threads live here. Start a program with subprocess.")


# A child that goes on without exec keeps locks of threads that it doesn't have, and gRPC aborts it. With this check (and
# ruff's PLW1509 for preexec_fn) servers may run inside the test process.
sys.addaudithook(_forbid_forks)

# A change must not fail on what chance finds beside it: CI tries the same examples each time, people's machines new ones.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("people", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "people")


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto` starts three workers for two cores, since tests spend part of their time waiting."""
    return math.ceil((os.cpu_count() or 1) * 1.5)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for the tests of a module; each test makes its own tables and queues in it."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox")).start()
    yield sandbox
    sandbox.stop()


@pytest.fixture
def own_sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox that nobody else writes to."""
    sandbox = Sandbox(tmp_path / "sandbox").start()
    yield sandbox
    sandbox.stop()


@pytest.fixture
def dstream(tmp_path: Path) -> Callable[..., DStream]:
    """`dstream(hcl, env)`: the command, in a folder with that dstream.hcl."""

    def make(hcl: str, env: dict[str, str]) -> DStream:
        (tmp_path / "dstream.hcl").write_text(hcl)
        return DStream(tmp_path, env)

    return make


@pytest.fixture
def example(tmp_path: Path) -> Callable[[str], Path]:
    """`example("orders")`: a copy of that example's folder."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(ROOT / "examples" / name, tmp_path / name))

    return copy

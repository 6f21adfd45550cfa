"""Fixtures shared by all test suites."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import groupby, islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from dstream.garbage_collection import collect_rarely
from tests.running import DStream, Sandbox

ROOT = Path(__file__).parent.parent
LONG = (
    "tests/chaos/",
    "tests/e2e/",
    "tests/integration/infra/",
    "tests/integration/servicebus/",
    "tests/integration/stacks/",
    "tests/integration/state/",
)
"""The folders with the longest tests."""

if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    # The tests start hundreds of processes. Without bytecode, each compiles all of its imports, which takes half of the
    # suite's time. A separate cache folder still keeps bytecode out of the source tree.
    sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(ROOT / ".pytest_cache" / "bytecode")
    sys.dont_write_bytecode = False


# The Pulumi CLI is a Go program that runs for half a second: with fewer garbage collections, each start takes 0.03 CPU
# seconds less (go.dev/doc/gc-guide).
os.environ.setdefault("GOGC", "400")


# Collecting 7,000 tests makes a million objects, none of them garbage.
collect_rarely()


def _forbid_forks(event: str, _: tuple[object, ...]) -> None:
    if event in ("os.fork", "os.forkpty"):
        raise RuntimeError(
            "tests must not fork: this process runs gRPC and other threads; start a program with subprocess"
        )


# A forked child that does not exec inherits locks of threads that it doesn't have, and gRPC aborts it. With this check
# (and ruff's PLW1509 for preexec_fn), servers can run inside the test process.
sys.addaudithook(_forbid_forks)

if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    # Under nohup, programs inherit this from the tests and rightly ignore SIGHUP; the tests send it to see them drain.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# CI tries the same examples every time, so that a change never fails by chance; other machines try new ones. Slow
# generation is no failure: on a busy machine, the first example of text takes half a minute.
_PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("ci", derandomize=True, **_PATIENT)
settings.register_profile("local", **_PATIENT)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "local"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let all workers end at the same time, and few of them start the same servers.

    With `--dist worksteal`, each worker begins with an equal part of the list, and later takes half of what another one
    has left. So each part begins with some of the longest files. In the rest, the tests of a folder, which share
    servers, follow one another. pytest-randomly has shuffled the files, and the tests in each.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if item.nodeid.startswith(LONG)]
    first: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for number, (_, tests) in enumerate(groupby(long, lambda item: item.path)):
        first[number % workers] += tests
    others = [item for item in items if not item.nodeid.startswith(LONG)]
    folders = list(dict.fromkeys(item.path.parent for item in others))
    rest = iter(sorted(others, key=lambda item: folders.index(item.path.parent)))
    ordered: list[pytest.Item] = []
    for number, begin in enumerate(first):
        part = (len(items) - len(ordered)) // (workers - number)
        ordered += [*begin, *islice(rest, max(0, part - len(begin)))]
    items[:] = [*ordered, *rest]


def pytest_collection_finish() -> None:
    """Leave the tests and all that they import out of the searches for garbage while they run."""
    gc.freeze()


def pytest_xdist_auto_num_workers() -> int:
    """Start two workers per core with `-n auto`, because tests spend part of their time waiting."""
    return 2 * (os.cpu_count() or 1)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox per test module; each test creates its own tables and queues in it."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox")).start()
    yield sandbox
    sandbox.stop()


@pytest.fixture
def own_sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox for one test."""
    sandbox = Sandbox(tmp_path / "sandbox").start()
    yield sandbox
    sandbox.stop()


@pytest.fixture
def dstream(tmp_path: Path) -> Callable[..., DStream]:
    """`dstream(hcl, env)`: the command in a folder with this dstream.hcl."""

    def make(hcl: str, env: dict[str, str]) -> DStream:
        (tmp_path / "dstream.hcl").write_text(hcl)
        return DStream(tmp_path, env)

    return make


@pytest.fixture
def example(tmp_path: Path) -> Callable[[str], Path]:
    """`example("orders")`: a copy of the example's folder."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(ROOT / "examples" / name, tmp_path / name))

    return copy

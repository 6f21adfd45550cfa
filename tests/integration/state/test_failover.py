"""Two hosts on one task: whatever happens to one, the other one continues, state never goes back, nothing is lost.

Hosts mostly wait, so several pairs of hosts, each on a task of its own, do their rounds at the same time.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import psycopg
import pytest
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobClient

from dstream.errors import DStreamError
from dstream.state import StateBackend, StateLocation, StateStore, open_store
from dstream.state._blob import container_client
from tests.integration.state.test_stores import SINCE
from tests.running import wait_until

ROOT = Path(__file__).parents[3]
PATIENCE_S = 300.0
LOOK_EVERY_S = 0.5
POLL_S = 0.1
LEASE_LOST, UNREACHABLE, NOT_DRAINED = 4, 6, 130
"""Exit codes of a host that lost its lease, or could not start, because the backend did not answer in time, as on a busy
machine; or whose drain took too long for the same reason. Its supervisor starts it again."""
ENDINGS = ["kill", "pause", "stop"]


class Host:
    """A process that runs the task, or stands by."""

    def __init__(self, folder: Path, location: StateLocation, task: str) -> None:
        self.log = folder / f"host-{time.monotonic_ns()}.jsonl"
        state = {name: getattr(location, name) for name in ("stack", "backend", "history", "url", "lease_s")}
        rows = {"rows": 10**9, "every": 5, "delay": 0.2}
        sink = {"sink": str(folder / "sink"), "delay": 0.01}
        more = {"task": task, "progress_every_s": 1.0}
        arguments = [str(folder), *map(json.dumps, (rows, sink, state, more))]
        with self.log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.conformance.hosted", *arguments], cwd=ROOT, stdout=out
            )
        self.pid = self._process.pid

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ended(self) -> int:
        return self._process.wait(PATIENCE_S)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def says(self, event: str) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines()
        return [found for found in map(json.loads, lines) if found["event"] == event]

    def has_said(self, event: str) -> bool:
        return f'"{event}"' in self.log.read_text()


class Watch(threading.Thread):
    """Reads the checkpoint all the time, as `dstream status` would; collects positions, and on blobs who wrote them."""

    def __init__(self, location: StateLocation, task: str, store: StateStore) -> None:
        super().__init__(daemon=True)
        self._store = store
        self._blob: BlobClient | None = None
        if location.backend == "azblob":
            self._blob = container_client(location.url).get_blob_client(f"{location.stack}/{task}.json")
        self.seen = [0]
        self.writers: list[str] = []
        self.over = threading.Event()
        self._looking = threading.Lock()

    def run(self) -> None:
        while not self.over.wait(LOOK_EVERY_S):
            with suppress(DStreamError, AzureError), self._looking:
                self._look()

    def _look(self) -> None:
        if self._blob is not None:
            found = self._blob.download_blob()
            document = msgspec.json.decode(found.readall())
            if document is not None:
                self.seen.append(document["state"]["next"])
                writer = found.properties.metadata["dstreamholder"]
                if writer not in self.writers[-1:]:
                    self.writers.append(writer)
        elif (stored := self._store.load()) is not None:
            self.seen.append(msgspec.json.decode(stored.state)["next"])

    def moves(self) -> None:
        """Wait for the next checkpoint, not for one that was stored before the last look."""
        with suppress(DStreamError, AzureError), self._looking:
            self._look()
        before = self.seen[-1]
        wait_until(lambda: self.seen[-1] > before, f"a checkpoint after {before}", PATIENCE_S, POLL_S)


@contextmanager
def recorded(location: StateLocation) -> Iterator[Callable[[str], list[tuple[int, int]]]]:
    """Yield a function that returns the fence and the position of every write of a task, in order; PostgreSQL records
    them."""
    if location.backend != "postgres":
        yield lambda _: []
        return
    name = f"written_{location.stack}"
    position = "(convert_from(new.document, 'UTF8')::json #>> '{state,next}')::bigint"
    with psycopg.connect(location.url, autocommit=True) as connection:
        connection.execute(
            f"CREATE TABLE {name} (n bigserial, task text, fence bigint, position bigint);"  # type: ignore[arg-type]  # of this test
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" INSERT INTO {name} (task, fence, position) VALUES (new.task, new.fence, {position}); RETURN new; END $$;"
            f"CREATE TRIGGER {name} AFTER UPDATE OF document ON dstream_state FOR EACH ROW"
            f" WHEN (new.stack = '{location.stack}') EXECUTE FUNCTION {name}()"
        )
        query = f"SELECT fence, position FROM {name} WHERE task = %s ORDER BY n"
        yield lambda task: list(connection.execute(query, [task]).fetchall())  # type: ignore[call-overload]


class Rounds:
    """The rounds of one pair of hosts on one task."""

    def __init__(self, location: StateLocation, task: str, folder: Path, endings: list[str]) -> None:
        self.task = task
        self.took: list[tuple[str, float]] = []
        """How each host ended, and the seconds until the takeover."""
        self._location = location
        self._folder = folder / task
        self._endings = endings

    def go(self, written: Callable[[str], list[tuple[int, int]]]) -> None:
        self._folder.mkdir()
        with closing(open_store(self._location, self.task)) as store:
            self._watch = Watch(self._location, self.task, store)
            self._all: list[Host] = []
            self._hosts = [self._started(), self._started()]
            self._watch.start()
            try:
                for left, ending in reversed(list(enumerate(self._endings))):
                    self._fail_over(ending, is_last=not left)
                for host in self._hosts:
                    host.send(signal.SIGTERM)
                assert {host.ended() for host in self._hosts} == {0}
            finally:
                self._watch.over.set()
                self._watch.join()
                for host in self._all:
                    host.close()
            last = store.load()
        assert self._watch.seen == sorted(self._watch.seen)
        assert len(set(self._watch.writers)) == len(self._watch.writers), "a holder wrote after its successor"
        fences = written(self.task)
        assert fences == sorted(fences)
        assert len({fence for fence, _ in fences}) > (len(self._endings) if fences else -1)
        assert last is not None
        arrived = {json.loads(line)["data"]["n"] for line in (self._folder / "sink").read_text().splitlines()}
        assert set(range(msgspec.json.decode(last.state)["next"])) <= arrived

    def _started(self) -> Host:
        self._all.append(Host(self._folder, self._location, self.task))
        return self._all[-1]

    def _supervised(self) -> list[Host]:
        """Start hosts again that a backend without answers has ended, and return all that should run."""
        for host in [each for each in self._hosts if each.exit_code in (LEASE_LOST, UNREACHABLE)]:
            self._hosts[self._hosts.index(host)] = self._started()
        return self._hosts

    def _runs(self) -> Host | None:
        """Return the host that runs the task, once the other one stands by."""
        one, other = sorted(self._supervised(), key=lambda host: not host.has_said("run.started"))
        is_ready = one.has_said("run.started") and other.has_said("lease.waiting") and not other.has_said("lease.taken")
        return one if is_ready else None

    def _fail_over(self, ending: str, *, is_last: bool) -> None:
        """End or pause the active host, wait for the takeover, and start a new standby."""
        self._watch.moves()
        old = wait_until(self._runs, "a host and a standby", PATIENCE_S, POLL_S)
        self._hosts.remove(old)
        start_s = time.monotonic()
        old.send({"kill": signal.SIGKILL, "pause": signal.SIGSTOP, "stop": signal.SIGTERM}[ending])
        taken = ("lease.taken", "run.started")
        wait_until(lambda: any(map(self._supervised()[0].has_said, taken)), "the takeover", PATIENCE_S, POLL_S)
        self.took.append((ending, time.monotonic() - start_s))
        self._watch.moves()
        if ending == "pause":
            old.send(signal.SIGCONT)
        assert (
            old.ended()
            in {"kill": {-signal.SIGKILL}, "pause": {LEASE_LOST}, "stop": {0, LEASE_LOST, NOT_DRAINED}}[ending]
        )
        if ending == "pause":
            (failed,) = old.says("run.failed")
            assert failed["code"] == "state.lease_lost"
            assert any(f"(pid {host.pid}, dstream run)" in failed["message"] for host in self._all)
        if not is_last:
            self._hosts.append(self._started())


@pytest.mark.parametrize(
    ("backend", "lease_s", "pairs", "rounds"),
    [
        ("postgres", 2.0, 5, 2),
        ("azblob", 15.0, 5, 2),
        pytest.param("postgres", 15.0, 15, 14, marks=[pytest.mark.soak, pytest.mark.timeout(7200)]),
        pytest.param("azblob", 15.0, 15, 14, marks=[pytest.mark.soak, pytest.mark.timeout(7200)]),
    ],
)
def test_a_standby_takes_over_and_nothing_is_lost(
    backend: StateBackend,
    lease_s: float,
    pairs: int,
    rounds: int,
    location_on: Callable[[StateBackend], StateLocation],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    location = replace(location_on(backend), lease_s=lease_s)
    seed = random.randrange(1 << 32)
    record_property("seed", seed)
    chance = random.Random(seed)
    endings = (ENDINGS * (pairs * rounds // len(ENDINGS) + 1))[: pairs * rounds]
    chance.shuffle(endings)
    with closing(open_store(location, "first")) as store, store.lease(SINCE):
        pass  # creates the tables
    every = [
        Rounds(location, f"orders{pair}", tmp_path, endings[pair * rounds : (pair + 1) * rounds])
        for pair in range(pairs)
    ]
    with recorded(location) as written, ThreadPoolExecutor(pairs) as pool:
        done = [pool.submit(each.go, written) for each in every]
        failures = [found for each in done if (found := each.exception()) is not None]
    took = [each for pair in every for each in pair.took]
    for ending in ENDINGS:
        times = [each for kind, each in took if kind == ending] or [0.0]
        found = f"{len(times)} rounds, median {median(times):.1f} s, max {max(times):.1f} s"
        record_property(f"takeover_{ending}", found)
        print(f"{backend}, lease {lease_s:g} s, {ending}: {found}")  # noqa: T201  # shown by pytest -s and in the report
    assert not failures, (seed, failures)
    assert len(took) == pairs * rounds
    if lease_s >= 15 and rounds > 2:
        assert max(each for _, each in took) <= lease_s + 5.0

"""Two hosts on one task: whatever happens to one, the other one continues, state never goes back, nothing is lost."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from dstream.errors import DStreamError
from dstream.state import StateBackend, StateLocation, StateStore, open_store
from tests.integration.state.test_stores import SINCE
from tests.running import wait_until

ROOT = Path(__file__).parents[3]
PATIENCE_S = 120.0


class Host:
    """A process that runs the task, or stands by."""

    def __init__(self, folder: Path, location: StateLocation) -> None:
        self.log = folder / f"host-{time.monotonic_ns()}.jsonl"
        state = {name: getattr(location, name) for name in ("stack", "backend", "history", "url", "lease_s")}
        rows = {"rows": 10**9, "every": 5, "size": 2000}
        sink = {"sink": str(folder / "sink"), "delay": 0.005}
        arguments = [str(folder), *map(json.dumps, (rows, sink, state))]
        with self.log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.conformance.hosted", *arguments], cwd=ROOT, stdout=out
            )
        self.pid = self._process.pid

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


class Watch(threading.Thread):
    """Reads the checkpoint all the time, as `dstream status` would, and collects the positions."""

    def __init__(self, store: StateStore) -> None:
        super().__init__(daemon=True)
        self._store = store
        self.seen = [0]
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.05):
            try:
                stored = self._store.load()
            except DStreamError:
                continue
            if stored is not None:
                self.seen.append(msgspec.json.decode(stored.state)["next"])

    def moves(self) -> None:
        """Wait until the task gets on."""
        before = self.seen[-1]
        wait_until(lambda: self.seen[-1] > before, f"a checkpoint after {before}", PATIENCE_S)


@contextmanager
def recorded(location: StateLocation) -> Iterator[Callable[[], list[tuple[int, int]]]]:
    """Yield a function that returns the fence and the position of every write, in order; PostgreSQL records them."""
    if location.backend != "postgres":
        yield list
        return
    name = f"written_{location.stack}"
    position = "(convert_from(new.document, 'UTF8')::json #>> '{state,next}')::bigint"
    with psycopg.connect(location.url, autocommit=True) as connection:
        connection.execute(
            f"CREATE TABLE {name} (n bigserial, fence bigint, position bigint);"  # type: ignore[arg-type]  # of this test
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN INSERT INTO {name} (fence, position) VALUES (new.fence, {position}); RETURN new; END $$;"
            f"CREATE TRIGGER {name} AFTER UPDATE OF document ON dstream_state FOR EACH ROW"
            f" WHEN (new.stack = '{location.stack}') EXECUTE FUNCTION {name}()"
        )
        query = f"SELECT fence, position FROM {name} ORDER BY n"
        yield lambda: list(connection.execute(query).fetchall())  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("backend", "lease_s", "rounds"),
    [
        ("postgres", 2.0, 4),
        ("azblob", 15.0, 1),
        pytest.param("postgres", 2.0, 200, marks=[pytest.mark.soak, pytest.mark.timeout(7200)]),
        pytest.param("azblob", 15.0, 200, marks=[pytest.mark.soak, pytest.mark.timeout(14400)]),
    ],
)
def test_a_standby_takes_over_and_nothing_is_lost(
    backend: StateBackend,
    lease_s: float,
    rounds: int,
    location_on: Callable[[StateBackend], StateLocation],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    made = location_on(backend)
    location = StateLocation(made.stack, made.folder, backend, 3, made.url, lease_s)
    seed = random.randrange(1 << 32)
    record_property("seed", seed)
    chance = random.Random(seed)
    endings = ["pause"] if rounds == 1 else ["kill", "pause", "stop"] * (rounds // 3 + 1)
    with closing(open_store(location, "orders")) as store, closing(open_store(location, "orders")) as asked:
        with store.lease(SINCE):
            pass  # creates the tables
        with recorded(location) as written:
            hosts = [Host(tmp_path, location), Host(tmp_path, location)]
            watch = Watch(store)
            watch.start()
            try:
                for ending in chance.sample(endings, rounds):
                    watch.moves()
                    fail_over(ending, hosts, asked, watch, tmp_path, location, record_property)
                for host in hosts:
                    host.send(signal.SIGTERM)
                assert [host.ended() for host in hosts] == [0, 0]
            finally:
                watch.over.set()
                watch.join()
                for host in hosts:
                    host.close()
            assert watch.seen == sorted(watch.seen), seed
            fences = written()
            assert fences == sorted(fences), seed
            assert len({fence for fence, _ in fences}) > (rounds if fences else -1), seed
        last = store.load()
        assert last is not None
    arrived = {json.loads(line)["data"]["n"] for line in (tmp_path / "sink").read_text().splitlines()}
    assert set(range(msgspec.json.decode(last.state)["next"])) <= arrived, seed


def fail_over(
    ending: str,
    hosts: list[Host],
    store: StateStore,
    watch: Watch,
    folder: Path,
    location: StateLocation,
    record_property: Callable[[str, object], None],
) -> None:
    """End or pause the host that runs the task, wait until the other one has taken over, and start a new standby."""

    def holder() -> int | None:
        try:
            found = store.holder()
        except DStreamError:
            return None
        return found.pid if found else None

    wait_until(lambda: holder() in {host.pid for host in hosts}, "a holder", PATIENCE_S)
    old = next(host for host in hosts if host.pid == holder())
    other = next(host for host in hosts if host is not old)
    wait_until(lambda: bool(other.says("lease.waiting")), "the standby", PATIENCE_S)
    start_s = time.monotonic()
    old.send({"kill": signal.SIGKILL, "pause": signal.SIGSTOP, "stop": signal.SIGTERM}[ending])
    wait_until(lambda: holder() == other.pid, "the takeover", PATIENCE_S)
    record_property(f"takeover_{ending}_s", round(time.monotonic() - start_s, 2))
    watch.moves()
    if ending == "pause":
        old.send(signal.SIGCONT)
    assert old.ended() == {"kill": -signal.SIGKILL, "pause": 4, "stop": 0}[ending]
    if ending == "pause":
        (failed,) = old.says("run.failed")
        assert failed["code"] == "state.lease_lost"
        assert f"(pid {other.pid}, dstream run)" in failed["message"]
    hosts[hosts.index(old)] = standby = Host(folder, location)
    wait_until(lambda: bool(standby.says("lease.waiting")), "the new standby", PATIENCE_S)

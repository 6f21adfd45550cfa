"""A network backend that is away: shorter than the lease, longer, and while another host takes over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psycopg
import pytest

from dstream.errors import LockedError
from dstream.host import Progress
from dstream.state import Lease, StateBackend, StateLocation, open_store
from tests.conformance.runs import TASK, Background, job, provider, sink_numbers
from tests.integration.state.test_fences import expire
from tests.integration.state.test_stores import SINCE
from tests.running import wait_until
from tests.slow_link import SlowLink

NETWORK: list[StateBackend] = ["azblob", "postgres", "mssql"]
LEASE_S: dict[StateBackend, float] = {"azblob": 15.0, "postgres": 4.0, "mssql": 4.0}
"""The shortest that Azure Storage allows."""
OUTAGES: Sequence[Callable[[SlowLink, bool], None]] = (SlowLink.away, SlowLink.silent)
"""It refuses connections, or accepts them and is silent. The tests wait for both at the same time."""
NOT_PROVEN = "the state backend does not renew the lease"
PATIENCE_S = 120.0


@contextmanager
def linked(direct: StateLocation) -> Iterator[tuple[SlowLink, StateLocation]]:
    """The same location through a link."""
    if direct.backend == "azblob":
        parts = urlsplit(direct.url)
        with SlowLink((str(parts.hostname), parts.port or 0)) as link:
            yield link, replace(direct, url=parts._replace(netloc=f"127.0.0.1:{link.port}").geturl())
    elif direct.backend == "postgres":
        with SlowLink(f"{psycopg.conninfo.conninfo_to_dict(direct.url)['host']}/.s.PGSQL.5432") as link:
            yield link, replace(direct, url=f"postgresql://postgres@127.0.0.1:{link.port}/postgres")
    else:
        server, rest = direct.url.split(";", 1)
        host, port = server.removeprefix("Server=").removeprefix("tcp:").split(",")
        with SlowLink((host, int(port))) as link:
            yield link, replace(direct, url=f"Server=127.0.0.1,{link.port};{rest}")


class Stream:
    """A run whose backend is behind a link; it goes on until it is stopped."""

    def __init__(self, location: StateLocation, folder: Path) -> None:
        self._location = location
        self._folder = folder
        self._run = Background(
            job(
                folder,
                state=location,
                input=provider("input.py", 3, rows=10**6, every=5, delay=0.01),
                output=provider("output.py", 12, sink=str(folder / "sink")),
            )
        )
        self.events = self._run.events
        self.reaches(lambda progress: progress.checkpoints_stored > 2)

    def reaches(self, condition: Callable[[Progress], bool]) -> None:
        self.events.wait_for_progress(condition, PATIENCE_S)

    def goes_on(self, what: Callable[[Progress], int]) -> None:
        before = what(self.events.last_progress)
        self.reaches(lambda progress: what(progress) > before + 20)

    def failed(self) -> LockedError:
        with pytest.raises(LockedError) as caught:
            self._run.result(PATIENCE_S)
        return caught.value

    def ends_whole(self, direct: StateLocation) -> None:
        """Stop it, and see that each row has arrived once and the last checkpoint is stored."""
        self._run.stop.request()
        summary = self._run.result(PATIENCE_S)
        assert summary.drained
        assert summary.progress.restarts == 0
        numbers = sink_numbers(self._folder)
        assert numbers == list(range(len(numbers)))
        assert position(direct) == len(numbers)

    def close(self) -> None:
        for _ in range(2):
            self._run.stop.request()


def position(location: StateLocation) -> int:
    with closing(open_store(location, TASK)) as store:
        stored = store.load()
    return int(msgspec.json.decode(stored.state)["next"]) if stored else 0


@pytest.fixture
def streaming(
    location_on: Callable[[StateBackend], StateLocation], tmp_path: Path
) -> Iterator[Callable[[StateBackend, float], tuple[SlowLink, Stream, StateLocation]]]:
    """`streaming(backend, lease_s)`: a link, a run through it, and the location without the link."""
    started: list[Any] = []

    def start(backend: StateBackend, lease_s: float) -> tuple[SlowLink, Stream, StateLocation]:
        direct = replace(location_on(backend), lease_s=lease_s)
        context = linked(direct)
        link, location = context.__enter__()
        folder = tmp_path / str(len(started))
        folder.mkdir()
        stream = Stream(location, folder)
        started.append((context, link, stream))
        return link, stream, direct

    yield start
    for context, _, stream in started:
        stream.close()
        context.__exit__(None, None, None)


@pytest.mark.parametrize("backend", NETWORK)
def test_rows_go_on_while_the_backend_is_away_for_less_than_the_lease(
    backend: StateBackend, streaming: Callable[[StateBackend, float], tuple[SlowLink, Stream, StateLocation]]
) -> None:
    streams = [(outage, *streaming(backend, 60.0)) for outage in OUTAGES]
    for outage, link, _, _ in streams:
        outage(link, True)
    before = [position(direct) for _, _, _, direct in streams]
    for (outage, link, stream, direct), last in zip(streams, before, strict=True):
        stream.goes_on(lambda progress: progress.rows_settled)
        assert position(direct) <= last + 5, "what was on its way may have arrived"
        outage(link, False)
        stream.goes_on(lambda progress: progress.last_seq)
        assert not any(progress.condition.reason == NOT_PROVEN for progress in stream.events.told)
        stream.ends_whole(direct)


@pytest.mark.parametrize("backend", NETWORK)
def test_rows_wait_while_the_backend_is_away_for_longer_than_the_lease(
    backend: StateBackend, streaming: Callable[[StateBackend, float], tuple[SlowLink, Stream, StateLocation]]
) -> None:
    streams = [(outage, *streaming(backend, LEASE_S[backend])) for outage in OUTAGES]
    for outage, link, _, _ in streams:
        outage(link, True)
    for outage, link, stream, direct in streams:
        stream.reaches(lambda progress: progress.condition.reason == NOT_PROVEN)
        outage(link, False)
        stream.goes_on(lambda progress: progress.last_seq)
        assert len(stream.events.named("state.unavailable")) <= 1, "an outage is told once"
        stream.ends_whole(direct)


@pytest.mark.parametrize(
    "backend",
    ["azblob", "postgres", pytest.param("mssql", marks=pytest.mark.soak)],  # half a minute: what ODBC waits for
)
def test_a_run_continues_after_its_connections_were_forgotten(
    backend: StateBackend,
    streaming: Callable[[StateBackend, float], tuple[SlowLink, Stream, StateLocation]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that lost its power, or a load balancer that lost its table, never answers and never resets."""
    monkeypatch.setattr("dstream.state._postgres._ANSWER_S", 2.0)
    link, stream, direct = streaming(backend, LEASE_S[backend])
    link.forget()
    stream.goes_on(lambda progress: progress.last_seq)
    stream.ends_whole(direct)


@pytest.mark.parametrize("backend", NETWORK)
def test_a_run_whose_task_was_taken_during_an_outage_ends_and_writes_no_more(
    backend: StateBackend, streaming: Callable[[StateBackend, float], tuple[SlowLink, Stream, StateLocation]]
) -> None:
    link, stream, direct = streaming(backend, LEASE_S[backend])
    link.away(True)
    if backend == "azblob":
        expire(direct)  # the failover test waits for one
    with closing(open_store(direct, TASK)) as other, ExitStack() as held:

        def taken() -> Lease | None:
            try:
                return held.enter_context(other.lease(SINCE))
            except LockedError:
                return None

        lease = wait_until(taken, "the lease to expire", PATIENCE_S)
        stored = other.load()
        assert stored is not None
        other.save(msgspec.structs.replace(stored, state=msgspec.Raw(b'{"next":1000000}')), lease)
        link.away(False)
        error = stream.failed()
        assert error.code == "state.lease_lost"
        assert "since 2026-11-25T09:12:00Z" in error.message
        assert position(direct) == 1_000_000


@pytest.mark.soak
@pytest.mark.parametrize("outage", OUTAGES, ids=["refuses", "is silent"])
@pytest.mark.parametrize("backend", NETWORK)
def test_a_backend_is_away_for_a_minute_and_nothing_is_lost(
    backend: StateBackend,
    outage: Callable[[SlowLink, bool], None],
    streaming: Callable[[StateBackend, float], tuple[SlowLink, Stream, StateLocation]],
) -> None:
    link, stream, direct = streaming(backend, 30.0)
    outage(link, True)
    time.sleep(60.0)  # the promise names this time
    assert stream.events.last_progress.condition.reason == NOT_PROVEN
    outage(link, False)
    stream.goes_on(lambda progress: progress.last_seq)
    stream.ends_whole(direct)

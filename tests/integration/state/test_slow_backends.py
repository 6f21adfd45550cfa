"""A backend that is slow delays checkpoints, and loses nothing. Outages: test_outages.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dstream.host import Job
from dstream.state import StateBackend, StateLocation
from tests.conformance.runs import Background, job, provider, run, sink_numbers
from tests.slow_link import SlowLink


@pytest.fixture
def link(postgres: str) -> Iterator[SlowLink]:
    settings = psycopg.conninfo.conninfo_to_dict(postgres)
    with SlowLink(f"{settings['host']}/.s.PGSQL.5432") as link:
        yield link


@pytest.fixture
def location(link: SlowLink, location_on: Callable[[StateBackend], StateLocation]) -> StateLocation:
    """A location on PostgreSQL, through the link; the lease is short."""
    url = f"postgresql://postgres@127.0.0.1:{link.port}/postgres"
    return replace(location_on("postgres"), url=url, lease_s=4.0)


def counting(folder: Path, location: StateLocation, **config: Any) -> Job:
    return job(
        folder,
        state=location,
        input=provider("input.py", 3, acks=str(folder / "acks"), **config),
        output=provider("output.py", 12, sink=str(folder / "sink"), delay=0.001),
    )


def stored(location: StateLocation) -> dict[str, Any]:
    with psycopg.connect(location.url) as connection:
        row = connection.execute("SELECT document FROM dstream_state WHERE stack = %s", [location.stack]).fetchone()
    assert row is not None
    document: dict[str, Any] = json.loads(row[0])
    return document


def test_with_a_slow_backend_the_newest_checkpoint_wins(
    link: SlowLink, location: StateLocation, tmp_path: Path
) -> None:
    link.delay_s = 0.2
    summary = run(counting(tmp_path, location, rows=1000, every=5))
    assert summary.drained
    assert 0 < summary.checkpoints < 100, "a save takes longer than 5 rows: most checkpoints are superseded"
    assert sink_numbers(tmp_path) == list(range(1000))
    assert stored(location)["state"] == {"next": 1000}
    assert (tmp_path / "acks").read_text().split()[-1] == "200"


def test_an_outage_after_the_last_checkpoint_does_not_spoil_a_drain(
    link: SlowLink, location: StateLocation, tmp_path: Path
) -> None:
    background = Background(replace(counting(tmp_path, location, rows=100, every=5, hold=True), drain_deadline_s=2.0))
    background.events.wait_for_progress(lambda progress: progress.rows_settled == 100)
    background.events.wait_for_progress(lambda progress: progress.last_seq == 20)
    link.away(True)
    background.stop.request()
    assert background.result(60.0).drained, "everything was stored before the outage"

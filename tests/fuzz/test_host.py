"""Any bytes as a provider's stdout, with the real host: it ends with a result or a DStreamError, and loses no row."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dstream.errors import DStreamError
from dstream.host import RunSummary
from tests.conformance.runs import Background, job, provider
from tests.conformance.test_failures import living_children
from tests.fuzz.streams import READY, hello, line, pieces, valid_inputs

PROGRAM = 'cat "$1"; read -r line_1; cat "$2"; %s'
ROWS = b"".join(b'{"data":%d}\n' % n for n in range(3))
INPUT = READY + ROWS + line(dstream="checkpoint", seq=1, n=3, state={}) + line(dstream="end", seq=1)
over_the_host = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
streams = st.lists(pieces, max_size=8).map(b"".join)
starts = st.one_of(st.just(hello("input")), st.just(hello("output")), streams)


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Path]:
    """A new folder for each run."""
    return (tmp_path / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _no_thread_dies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    died: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    yield
    assert died == []


def outcome(folder: Path, **streams: tuple[bytes, bytes]) -> RunSummary | DStreamError:
    """The outcome of a run whose providers write the first part immediately and the second after line 1, then exit."""
    folder.mkdir()
    task = job(folder, hello_timeout_s=0.5, legacy_ready_s=0.1, start_timeout_s=10.0)
    for role, parts in streams.items():
        paths = [folder / f"{role}-{number}" for number in range(2)]
        for path, part in zip(paths, parts, strict=True):
            path.write_bytes(part)
        last = "" if role == "input" else "exec cat >/dev/null"
        argv = ["/bin/sh", "-c", PROGRAM % last, "fuzz", *map(str, paths)]
        task = replace(task, **{role: replace(provider(f"{role}.py", 3), argv=argv)})
    try:
        return Background(task).result()
    except DStreamError as error:
        return error
    finally:
        assert not living_children()


def sunk(folder: Path) -> bytes:
    sink = folder / "sink"
    return sink.read_bytes() if sink.exists() else b""


@over_the_host
@given(stream=valid_inputs())
def test_rows_with_any_bytes_all_arrive_in_order(folders: Iterator[Path], stream: tuple[bytes, list[bytes]]) -> None:
    said, rows = stream
    folder = next(folders)
    result = outcome(folder, input=(hello("input"), said))
    assert isinstance(result, RunSummary), result
    assert result.drained
    assert sunk(folder) == b"".join(rows)


@over_the_host
@given(stream=valid_inputs(), at=st.floats(0, 1), wrong=pieces, cut=st.integers(0, 20))
def test_corruption_in_a_stream_leaves_earlier_rows_unchanged(
    folders: Iterator[Path], stream: tuple[bytes, list[bytes]], at: float, wrong: bytes, cut: int
) -> None:
    said, _ = stream
    position = round(at * len(said))
    said = said[:position] + wrong + said[position + cut :]
    folder = next(folders)
    result = outcome(folder, input=(hello("input"), said))
    rows = [each + b"\n" for each in said.split(b"\n")[1:-1] if not each.startswith(b'{"dstream":')]
    arrived = sunk(folder)
    assert b"".join(rows).startswith(arrived)
    if isinstance(result, RunSummary) and result.drained:
        assert arrived == b"".join(rows)


@over_the_host
@given(start=starts, rest=streams)
def test_any_input_ends_with_a_result_or_a_dstream_error(folders: Iterator[Path], start: bytes, rest: bytes) -> None:
    outcome(next(folders), input=(start, rest))


@over_the_host
@given(start=starts, rest=streams)
def test_any_output_ends_with_a_result_or_a_dstream_error(folders: Iterator[Path], start: bytes, rest: bytes) -> None:
    result = outcome(next(folders), input=(hello("input"), INPUT), output=(start, rest))
    if isinstance(result, RunSummary) and result.drained and start == hello("output"):
        assert b'"ack"' in rest

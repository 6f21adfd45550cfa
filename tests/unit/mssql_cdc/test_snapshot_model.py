"""Snapshots without a database: random tables, writes, chunk sizes and crashes; the consumer's copy equals the source."""

from __future__ import annotations

import contextlib
import json
import random
from collections import deque
from typing import Any

from dstream_mssql_cdc.config import parse_start
from dstream_mssql_cdc.state import ReaderState, load_state
from dstream_mssql_cdc.stream.reader import ChangeStream, PollPace
from dstream_mssql_cdc.stream.start import first_state
from hypothesis import given, settings
from hypothesis import strategies as st

from dstream.sdk import Checkpoint, Lines, Stop
from tests.unit.mssql_cdc.change_log import GUID, builder_for
from tests.unit.mssql_cdc.live_tables import Copy, Killed, LiveTables, TablesSource


class Run:
    """Runs of a reader over live tables, each from a checkpoint of the one before, and what a consumer got."""

    def __init__(self, live: LiveTables, chance: random.Random, pace: PollPace, *, is_fenced: bool) -> None:
        self.live = live
        self.copy = Copy()
        self._chance = chance
        self._pace = pace
        self._is_fenced = is_fenced
        self._requests = deque[str]()

    def first(self) -> ReaderState:
        source = TablesSource(self.live, self._chance, writes=2)
        return first_state(parse_start("snapshot"), GUID, source.captured(), source, self._new_id)

    def until_killed(self, state: ReaderState, steps: int) -> ReaderState:
        """Read until killed after `steps` items, and before that perhaps lose the connection. The consumer may not have
        got the last lines, nor the host have stored the last checkpoints."""
        lines: list[bytes] = []
        checkpoints = [(0, state)]
        stream = self.stream(self._source(steps), state)
        is_asked = bool(self._requests)
        for _ in range(self._chance.randint(1, 2)):
            with contextlib.suppress(Killed):
                for step, item in enumerate(stream.lines(Stop())):
                    if isinstance(item, Lines):
                        lines += item.data.splitlines()
                        self._check_overlaps(item)
                    else:
                        if is_asked and not self._requests:
                            checkpoints.clear()  # A request that the host has not stored is lost with the process.
                            is_asked = False
                        checkpoints.append((len(lines), _stored(item)))
                    if self._chance.random() < 0.1:
                        wanted = self._chance.choice([*self.live.names, "dbo.*", "unknown", "a.b.c"])
                        self._requests.append(wanted)
                        is_asked = True
                    if step >= steps:
                        break
            stream.source = self._source(steps)
        count, state = self._chance.choice(checkpoints)
        for line in lines[: self._chance.randint(count, len(lines))]:
            self.copy.apply(line)
        return state

    def _source(self, steps: int) -> TablesSource:
        return TablesSource(self.live, self._chance, writes=6, answers=3 * steps)

    def to_the_end(self, state: ReaderState) -> ReaderState:
        for _ in range(2):  # The second run reads what was captured after the snapshot's end.
            source = TablesSource(self.live, self._chance, writes=0)
            until = max((one.lsn for one in self.live.log.transactions), default=bytes(10))
            for item in self.stream(source, state).lines(Stop(), until=until):
                if isinstance(item, Lines):
                    self._check_overlaps(item)
                    for line in item.data.splitlines():
                        self.copy.apply(line)
                else:
                    state = _stored(item)
        return state

    def stream(self, source: TablesSource, state: ReaderState) -> ChangeStream:
        return ChangeStream(
            source,
            state,
            builder_for,
            self._pace,
            snapshots_new_tables=True,
            fenced_snapshots=self._is_fenced,
            schema_records=True,
            requests=self._requests,
            new_id=self._new_id,
        )

    def _new_id(self) -> str:
        return f"{self._chance.getrandbits(32):08x}"

    def _check_overlaps(self, lines: Lines) -> None:
        """A change that was committed before the rows of its table were last read must say so."""
        for line in lines.data.splitlines():
            metadata = json.loads(line)["metadata"]
            if metadata["OperationType"] in ("Read", "Schema"):
                continue
            lsns = [one.lsn.hex() for one in self.live.log.transactions]
            if lsns.index(metadata["LSN"]) < self.live.last_read.get(metadata["TableName"], 0):
                assert metadata.get("Overlap") is True


def _stored(item: Checkpoint) -> ReaderState:
    loaded = load_state(json.loads(json.dumps(item.state)))
    assert loaded is not None
    return loaded


@settings(max_examples=100, deadline=None)
@given(
    tables=st.integers(1, 3),
    without_index=st.frozensets(st.integers(0, 2)),
    page_rows=st.integers(1, 5),
    window=st.integers(1, 4),
    block=st.integers(1, 4),
    kills=st.lists(st.integers(0, 40), max_size=5),
    is_fenced=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_a_copy_kept_by_key_equals_the_source_whatever_is_written_and_killed(
    tables: int,
    without_index: frozenset[int],
    page_rows: int,
    window: int,
    block: int,
    kills: list[int],
    is_fenced: bool,
    seed: int,
) -> None:
    chance = random.Random(seed)
    live = LiveTables([f"dbo.T{at}" for at in range(tables)], without_index)
    for _ in range(chance.randint(0, 12)):
        live.write(chance)
    pace = PollPace(0.0, 0.0, page_rows=page_rows, window_transactions=window, checkpoint_lines=block)
    run = Run(live, chance, pace, is_fenced=is_fenced)
    state = run.first()
    for steps in kills:
        state = run.until_killed(state, steps)
    state = run.to_the_end(state)
    for name, rows in zip(live.names, live.rows, strict=True):
        expected = {key: {"Id": key, "Name": value, "Note": note} for key, (value, note) in rows.items()}
        assert run.copy.tables.get(name, {}) == expected
    assert all(table.snapshot is None for table in state.tables.values())
    assert state.stored()["v"] == 1


@settings(max_examples=50, deadline=None)
@given(tables=st.integers(1, 3), page_rows=st.integers(1, 5), window=st.integers(1, 4), seed=st.integers(0, 10**6))
def test_a_fenced_snapshot_contains_exactly_the_changes_that_overlap(
    tables: int, page_rows: int, window: int, seed: int
) -> None:
    chance = random.Random(seed)
    live = LiveTables([f"dbo.T{at}" for at in range(tables)], frozenset())
    for _ in range(chance.randint(0, 12)):
        live.write(chance)
    pace = PollPace(0.0, 0.0, page_rows=page_rows, window_transactions=window)
    run = Run(live, chance, pace, is_fenced=True)
    source = TablesSource(live, chance, writes=20)
    copies: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in live.names}
    state = run.first()
    for _ in range(2):
        until = max((one.lsn for one in live.log.transactions), default=bytes(10))
        for item in run.stream(source, state).lines(Stop(), until=until):
            if isinstance(item, Lines):
                for line in item.data.splitlines():
                    event = json.loads(line)
                    if event["metadata"]["OperationType"] != "Schema" and not event["metadata"].get("Overlap"):
                        _apply_strictly(copies[event["metadata"]["TableName"]], event)
            else:
                state = _stored(item)
        source = TablesSource(live, chance, writes=0)
    for name, rows in zip(live.names, live.rows, strict=True):
        assert copies[name] == {key: {"Id": key, "Name": value, "Note": note} for key, (value, note) in rows.items()}


def _apply_strictly(rows: dict[int, dict[str, Any]], event: dict[str, Any]) -> None:
    """Apply a row or a change that no row contains: what it deletes or updates exists, what it inserts does not."""
    key, kind = event["data"]["Id"], event["metadata"]["OperationType"]
    assert (key in rows) is (kind in ("Update", "Delete"))
    if kind == "Delete":
        del rows[key]
    else:
        rows[key] = {**rows.get(key, {}), **event["data"]}

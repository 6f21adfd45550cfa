"""Net changes without a database: random writes, windows, memory, kills and resets, and a queue that drops repeated ids.

The consumer's copy equals the source.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator

import pytest
from dstream_mssql_cdc.config import parse_start
from dstream_mssql_cdc.state import ReaderState, load_state
from dstream_mssql_cdc.stream.net_changes import NetChanges
from dstream_mssql_cdc.stream.reader import AwaitStored, ChangeStream, PollPace
from dstream_mssql_cdc.stream.start import first_state
from hypothesis import given, settings
from hypothesis import strategies as st

from dstream.sdk import Checkpoint, Lines, Stop
from tests.unit.mssql_cdc.change_log import GUID, builder_for
from tests.unit.mssql_cdc.live_tables import Copy, Killed, LiveTables, TablesSource

ROW_BYTES = builder_for(LiveTables(["dbo.T"], frozenset()).log.captured()[0], "ci0").row_bytes


class Queue:
    """A queue with duplicate detection, and the consumer behind it."""

    def __init__(self) -> None:
        self.copy = Copy()
        self._seen: dict[str, bytes] = {}

    def send(self, line: bytes) -> None:
        metadata = json.loads(line)["metadata"]
        if metadata["Id"] in self._seen:
            if metadata["OperationType"] not in ("Read", "Schema"):
                assert without_marks(self._seen[metadata["Id"]]) == without_marks(line)
            return
        self._seen[metadata["Id"]] = line
        self.copy.apply(line)


def without_marks(line: bytes) -> bytes:
    """Without Overlap, which depends on when a row is read."""
    return line.replace(b',"Overlap":true', b"")


class NetRun:
    """Runs of a reader that emits net changes, each from a checkpoint that the host has stored."""

    def __init__(self, live: LiveTables, chance: random.Random, pace: PollPace, start: str) -> None:
        self.live = live
        self.queue = Queue()
        self._chance = chance
        self._pace = pace
        self._start = start
        self.is_net = True
        self._windows: dict[str, list[bytes]] = {}

    def first(self) -> ReaderState:
        source = TablesSource(self.live, self._chance, writes=2)
        return first_state(parse_start(self._start), GUID, source.captured(), source, self._new_id)

    def until_killed(self, state: ReaderState, steps: int) -> ReaderState:
        """Read until killed after `steps` items, and before that perhaps lose the connection. Not all lines may have
        arrived, nor all checkpoints have been stored, except for those that the reader waited for."""
        lines: list[bytes] = []
        checkpoints = [(0, state)]

        def stored(window_id: str, stop: Stop) -> bool:
            if self._chance.random() < 0.1:
                raise Killed
            del checkpoints[:-1]
            assert checkpoints[0][1].net is not None
            assert checkpoints[0][1].net.id == window_id
            return True

        source = TablesSource(self.live, self._chance, writes=6, answers=3 * steps)
        stream = self._stream(source, state, stored)
        recorded = state.net
        for _ in range(self._chance.randint(1, 2)):
            with contextlib.suppress(Killed):
                for step, item in enumerate(self._items(stream, lines, checkpoints)):
                    if step >= steps:
                        break
                    del item
            stream.source = TablesSource(self.live, self._chance, writes=6, answers=3 * steps)
        self._check_windows(lines)
        ids = [id_ for line in lines if "/n" in (id_ := json.loads(line)["metadata"]["Id"])]
        assert not (recorded and ids) or ids[0].endswith(f"/n{recorded.id}")
        count, state = self._chance.choice(checkpoints)
        for line in lines[: self._chance.randint(count, len(lines))]:
            self.queue.send(line)
        return state

    def to_the_end(self, state: ReaderState) -> ReaderState:
        for _ in range(2):  # The second run reads what was captured after the end of a snapshot.
            lines: list[bytes] = []
            checkpoints = [(0, state)]
            stream = self._stream(TablesSource(self.live, self._chance, writes=0), state, None)
            until = max((one.lsn for one in self.live.log.transactions), default=bytes(10))
            for _ in self._items(stream, lines, checkpoints, until):
                pass
            self._check_windows(lines)
            for line in lines:
                self.queue.send(line)
            state = checkpoints[-1][1]
        return state

    def _check_windows(self, lines: list[bytes]) -> None:
        """A window that is emitted again has the same rows."""
        windows: dict[str, list[bytes]] = {}
        for line in lines:
            _, is_net, window_id = json.loads(line)["metadata"]["Id"].rpartition("/n")
            if is_net:
                windows.setdefault(window_id, []).append(without_marks(line))
        for window_id, rows in windows.items():
            known = self._windows.setdefault(window_id, rows)
            assert all(one == other for one, other in zip(known, rows, strict=False))
            self._windows[window_id] = max(known, rows, key=len)

    def _items(
        self,
        stream: ChangeStream,
        lines: list[bytes],
        checkpoints: list[tuple[int, ReaderState]],
        until: bytes | None = None,
    ) -> Iterator[Lines | Checkpoint]:
        for item in stream.lines(Stop(), until=until):
            if isinstance(item, Lines):
                lines += item.data.splitlines()
            else:
                loaded = load_state(json.loads(json.dumps(item.state)))
                assert loaded is not None
                checkpoints.append((len(lines), loaded))
            yield item

    def _stream(self, source: TablesSource, state: ReaderState, stored: AwaitStored | None) -> ChangeStream:
        return ChangeStream(
            source,
            state,
            builder_for,
            self._pace,
            schema_records=True,
            new_id=self._new_id,
            net=NetChanges() if self.is_net else None,
            await_stored=stored,
        )

    def _new_id(self) -> str:
        return f"{self._chance.getrandbits(32):08x}"


def check(tables: int, page_rows: int, window: int, rows_held: int, kills: list[int], start: str, seed: int) -> None:
    chance = random.Random(seed)
    live = LiveTables([f"dbo.T{at}" for at in range(tables)], frozenset())
    for _ in range(chance.randint(0, 12)):
        live.write(chance)
    pace = PollPace(0.0, 0.0, page_rows=page_rows, window_transactions=window, max_bytes=rows_held * ROW_BYTES)
    run = NetRun(live, chance, pace, start)
    state = run.first()
    for steps in kills:
        if chance.random() < 0.4:
            state = run.first()  # `--reset`
        state = run.until_killed(state, steps)
    if chance.random() < 0.3:
        run.is_net = False
    state = run.to_the_end(state)
    assert state.net is None
    for name, rows in zip(live.names, live.rows, strict=True):
        expected = {key: {"Id": key, "Name": value, "Note": note} for key, (value, note) in rows.items()}
        assert run.queue.copy.tables.get(name, {}) == expected


@settings(max_examples=60, deadline=None)
@given(
    tables=st.integers(1, 3),
    page_rows=st.integers(1, 5),
    window=st.integers(1, 9),
    rows_held=st.integers(0, 6),
    kills=st.lists(st.integers(0, 40), max_size=5),
    start=st.sampled_from(["earliest", "snapshot"]),
    seed=st.integers(0, 10**6),
)
def test_a_copy_kept_from_net_changes_equals_the_source_whatever_is_killed_and_whatever_a_queue_drops(
    tables: int, page_rows: int, window: int, rows_held: int, kills: list[int], start: str, seed: int
) -> None:
    check(tables, page_rows, window, rows_held, kills, start, seed)


@pytest.mark.soak
def test_thousands_of_histories_of_net_changes() -> None:
    for seed in range(700):
        chance = random.Random(seed)
        kills = [chance.randint(0, 40) for _ in range(chance.randint(0, 6))]
        start = chance.choice(["earliest", "snapshot"])
        check(
            chance.randint(1, 3), chance.randint(1, 5), chance.randint(1, 9), chance.randint(0, 6), kills, start, seed
        )

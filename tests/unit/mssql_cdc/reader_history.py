"""A random history: runs of a reader, each from a checkpoint of the one before, while anything happens to the source."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from dstream_mssql_cdc.catalog.instances import Gap
from dstream_mssql_cdc.config import parse_start
from dstream_mssql_cdc.errors import ReadInterrupted
from dstream_mssql_cdc.state import ReaderState, load_state
from dstream_mssql_cdc.stream.observer import Observer
from dstream_mssql_cdc.stream.reader import ChangeStream, PollPace
from dstream_mssql_cdc.stream.start import first_state

from dstream.sdk import Checkpoint, Lines, Stop
from dstream.sdk.errors import DStreamError, RefusedError
from tests.unit.mssql_cdc.adding_consumer import AddingConsumer
from tests.unit.mssql_cdc.expected_lines import ExpectedLines
from tests.unit.mssql_cdc.live_database import GUID, ID, NAME, NOTE, LiveDatabase, LiveTable
from tests.unit.mssql_cdc.live_source import LiveSource, builder_of
from tests.unit.mssql_cdc.remembered import Place, Remembered, Settings

LOST = {"mssql.table_renamed", "mssql.table_recreated", "mssql.instance_dropped", "mssql.instance_recreated"}
_MOST_ITEMS = 20_000


class Killed(Exception):
    """The reader's process ends here."""


class ReaderHistory:
    """The database, the reader's last stored checkpoint, and what a consumer has received."""

    def __init__(
        self,
        database: LiveDatabase,
        start: str = "earliest",
        pace: PollPace | None = None,
        *,
        schema_records: bool = False,
    ) -> None:
        self.database = database
        self.chance = database.chance
        self.settings = Settings("fail", "fail", schema_records, start == "snapshot")
        self.pace = pace or PollPace(0.0, 0.0)
        self.consumer = Consumer()
        self._start = start
        self._ids = 0
        self.state, self.memory = self._first()

    @classmethod
    def random(cls, seed: int) -> ReaderHistory:
        chance = Random(seed)
        database = LiveDatabase(chance)
        database.start()
        pace = PollPace(
            0.0,
            0.0,
            page_rows=chance.randint(1, 5),
            window_transactions=chance.randint(1, 5),
            checkpoint_lines=chance.randint(1, 5),
        )
        start = chance.choice(["earliest", "snapshot", "snapshot", "latest"])
        return cls(database, start, pace, schema_records=chance.random() < 0.5)

    def _first(self) -> tuple[ReaderState, Remembered]:
        memory = Remembered((bytes(10), 0, b"", 9, 0), {}, {})
        expected = ExpectedLines(self.database, self.settings, memory)
        source = LiveSource(self.database, expected, self.settings.selects)
        captured = source.captured()
        state = first_state(parse_start(self._start), GUID, captured, source, self.new_id)
        memory = Remembered(place_of(state), {}, {})
        begun = ExpectedLines(self.database, self.settings, memory)
        begun.cataloged([table for table in self.database.tables if table.instances])
        if self._start == "earliest":
            for table in self.database.tables:
                assert all(row[0] >= begun.next_lsn for instance in table.instances for row in instance.rows)
        return state, memory

    def happen(self) -> None:
        """Some runs that end in any way, and a last one that reads everything."""
        for _ in range(self.chance.randint(1, 5)):
            self.settings = self._any_settings()
            self.run(
                Disturbances(
                    acts=self.chance.choice([0, 5, 20, 60]),
                    faults=self.chance.choice([0.0, 0.0, 0.02, 0.1]),
                    calls=self.chance.choice([float("inf"), float("inf"), self.chance.randint(1, 100)]),
                    items=self.chance.choice([None, None, self.chance.randint(0, 60)]),
                )
            )
            for _ in range(self.chance.choice([0, 0, 0, 8])):
                self.database.act()
        self.to_the_end()

    def _any_settings(self) -> Settings:
        excluded = self.settings.excluded
        if self.chance.random() < 0.2:
            self.database.upheavals += 1
            names = [table.name for table in self.database.tables]
            excluded = (
                frozenset(self.chance.sample(names, min(1, len(names)))) if self.chance.random() < 0.7 else frozenset()
            )
        return replace(
            self.settings,
            on_gap=self.chance.choice(["fail", "continue", "continue", "resnapshot", "resnapshot"]),
            on_table_change=self.chance.choice(["fail", "skip", "skip", "resnapshot", "resnapshot"]),
            fenced_snapshots=self.chance.random() < 0.4,
            excluded=excluded,
        )

    def run(self, disturbances: Disturbances | None = None, requests: Sequence[str] = ()) -> DStreamError | None:
        """Run the reader until it has read everything that was committed when it started, or is killed or stopped, or
        ends with an error, which is returned. `requests`: tables to take snapshots of."""
        run = _Run(self, disturbances or Disturbances(), requests)
        error = None
        try:
            run.read()
        except RefusedError as refused:
            error = refused
            run.check_error(refused)
        except Killed:
            pass
        else:
            assert run.reported == run.expected.lost
            assert [*run.unanswered] == [*run.requests], "a request for a snapshot was lost"
            self.state, self.memory = run.checkpoints[-1][1:]
            self.consumer.receive(run.lines, run.expected)
            return None
        count, self.state, self.memory = self.chance.choice(run.checkpoints)
        delivered = run.lines[: self.chance.randint(count, len(run.lines))]
        self.consumer.receive(delivered, run.expected)
        return error

    def to_the_end(self) -> None:
        self.settings = replace(
            self.settings,
            on_gap=self.chance.choice(["continue", "resnapshot"]),
            on_table_change=self.chance.choice(["skip", "resnapshot"]),
            fenced_snapshots=self.chance.random() < 0.4,
        )
        self.run()
        wanted = {
            table.object_id: table
            for table in self.database.tables
            if table.instances and self.settings.selects(table.name)
        }
        assert self.memory.tables.keys() == wanted.keys()
        for object_id, known in self.memory.tables.items():
            table = wanted[object_id]
            assert known.name == table.name
            assert known.segments[-1].instance is table.instances[-1]
            assert known.snapshot is None
            if known.is_whole:
                self.consumer.check_copy(table)
        assert not any(table.snapshot for table in self.state.tables.values())

    def new_id(self) -> str:
        self._ids += 1
        return f"{self._ids:08x}"


Emitted = tuple[tuple[int, int], bytes]
"""A line, with the number of upheavals when the catalog was read, and when the line was emitted."""


@dataclass
class Disturbances:
    """What happens during a run: `script`, by the number of the moment, or so many random acts. `faults`: the chance
    that a call loses the connection. `calls`: those answered before the process is killed. `items`: those yielded before
    it is killed or stopped."""

    script: Mapping[int, Callable[[], None]] = field(default_factory=dict)
    acts: int = 0
    faults: float = 0.0
    calls: float = float("inf")
    items: int | None = None


class _Run:
    """One process of the reader."""

    def __init__(self, history: ReaderHistory, disturbances: Disturbances, requests: Sequence[str]) -> None:
        self._history = history
        self._database, self._chance = history.database, history.chance
        self._disturbances = disturbances
        self._moment = 0
        self.requests = deque(requests)
        self.unanswered = deque(requests)
        self.reported: list[str] = []
        self.expected = ExpectedLines(self._database, history.settings, history.memory.copy())
        source = LiveSource(self._database, self.expected, history.settings.selects, self._happens, self._fails)
        self.checkpoints = [(0, history.state, history.memory)]
        self.lines: list[Emitted] = []
        self._unclaimed: list[bytes] = []
        settings = history.settings
        self._stream = ChangeStream(
            source,
            history.state,
            builder_of,
            history.pace,
            on_gap=settings.on_gap,
            on_table_change=settings.on_table_change,
            schema_records=settings.schema_records,
            snapshots_new_tables=settings.snapshots_new_tables,
            fenced_snapshots=settings.fenced_snapshots,
            requests=self.requests,
            observer=_Reports(self, self.expected),
            clock=lambda: 0.0,
            new_id=history.new_id,
        )

    def _happens(self) -> None:
        self._moment += 1
        if scripted := self._disturbances.script.get(self._moment):
            scripted()
        while self._disturbances.acts and self._chance.random() < 0.4:
            self._disturbances.acts -= 1
            self._database.act()

    def _fails(self) -> None:
        self._disturbances.calls -= 1
        if self._disturbances.calls <= 0:
            raise Killed
        if self._disturbances.faults and self._chance.random() < self._disturbances.faults:
            raise ReadInterrupted("mssql.interrupted", "the connection was lost")

    def read(self) -> None:
        stop, count, items = Stop(), 0, self._disturbances.items
        until = self._database.log[-1].lsn if self._database.log else bytes(10)
        while True:
            try:
                for item in self._stream.lines(stop, until=until):
                    self._take(item)
                    count += 1
                    assert count < _MOST_ITEMS, "reading does not end"
                    if items is not None and count >= items and not stop.is_set():
                        if self._chance.random() < 0.7:
                            raise Killed
                        stop.set()
                break
            except ReadInterrupted:
                continue  # Reconnected.

    def _take(self, item: Lines | Checkpoint) -> None:
        if isinstance(item, Lines):
            self._unclaimed += item.data.splitlines()
            assert item.data.count(b"\n") == item.size
            return
        state = load_state(json.loads(json.dumps(item.state)))
        assert state is not None
        compare(self._unclaimed, self.expected.upto(place_of(state), self._unclaimed))
        upheavals = (self.expected.upheavals, self._database.upheavals)
        self.lines += [(upheavals, line) for line in self._unclaimed]
        self._unclaimed = []
        self.checkpoints.append((len(self.lines), state, self.expected.memory.copy()))
        if self._disturbances.acts and self._chance.random() < 0.03:
            wanted = self._chance.choice(
                [*(table.name for table in self._database.tables), "dbo.*", "unknown", "a.b.c"]
            )
            self.requests.append(wanted)
            self.unanswered.append(wanted)

    def check_error(self, error: RefusedError) -> None:
        if error.code == "mssql.gap":
            assert self._history.settings.on_gap == "fail"
            assert self.expected.has_gap
        else:
            assert error.code in LOST, error
            assert self.expected.must_end, error


class _Reports(Observer):
    """What the reader reports, for the model."""

    def __init__(self, run: _Run, expected: ExpectedLines) -> None:
        self._run = run
        self._expected = expected

    def gap(self, gap: Gap) -> None:
        self._expected.gap(gap.table, gap.instance, gap.start_lsn)

    def table_changed(self, name: str, why: RefusedError, now: Any) -> None:
        self._run.reported.append(name)

    def snapshot_begins(self, tables: Sequence[str]) -> None:
        self._expected.snapshot_begins(tables)
        self._run.unanswered.popleft()

    def snapshot_refused(self, table: str, reason: DStreamError) -> None:
        assert self._run.unanswered.popleft() == table


class Consumer:
    """Keeps a copy of the tables by key, as the documentation says, and the first line of each id. After a fenced
    snapshot, it also adds up the changes."""

    def __init__(self) -> None:
        self.incomplete: set[int] = set()
        self._adding = AddingConsumer()
        self._copies: dict[int, dict[int, dict[str, Any]]] = {}
        self._sent: dict[str, tuple[int, bytes]] = {}
        """With the number of upheavals when the catalog was read."""

    def receive(self, lines: Sequence[Emitted], expected: ExpectedLines) -> None:
        self.incomplete |= expected.incomplete
        row_counts = {id_: one.rows for one in expected.fenced_snapshots for id_ in one.id}
        for object_id in self.incomplete:
            self._adding.leave(object_id)
        for upheavals, line in lines:
            event = json.loads(line)
            metadata, data = event["metadata"], event["data"]
            if metadata["OperationType"] == "Schema":
                continue
            if int(metadata["Id"].split("/")[1]) not in self.incomplete:
                self._adding.receive(event, row_counts)
            if metadata["OperationType"] != "Read":
                self._check_repeat(metadata["Id"], line, upheavals)
            copy = self._copies.setdefault(int(metadata["Id"].split("/")[1]), {})
            if metadata["OperationType"] == "Delete":
                copy.pop(data["Id"], None)
            else:
                copy[data["Id"]] = {**copy.get(data["Id"], {}), **data}

    def _check_repeat(self, id_: str, line: bytes, upheavals: tuple[int, int]) -> None:
        """A repeated change has the same bytes, except that it can have `Overlap`."""
        plain = line.replace(b',"Overlap":true', b"")
        before, first = self._sent.setdefault(id_, (upheavals[0], plain))
        assert first == plain or before != upheavals[1], f"repeated as\n{plain!r}, was\n{first!r}"

    def check_copy(self, table: LiveTable) -> None:
        """All rows are there. There are others only if deletes may be missing."""
        copy = self._copies.get(table.object_id, {})
        names = [column.name for column in table.columns if column in (ID, NOTE) or column.name == NAME.name]
        kept = {key: {name: copy.get(key, {}).get(name) for name in names} for key in table.rows}
        assert kept == {key: {name: row.get(name) for name in names} for key, row in table.rows.items()}
        assert copy.keys() == table.rows.keys() or table.object_id in self.incomplete
        names = self._adding.names(table.object_id)
        assert names in (None, {key: row["Name"] for key, row in table.rows.items()})


def place_of(state: ReaderState) -> Place:
    lsn, command, seqval, operation, object_id = state.pos
    return bytes.fromhex(lsn), command, bytes.fromhex(seqval), operation, object_id


def compare(received: Sequence[bytes], expected: Sequence[bytes]) -> None:
    for at, (got, wanted) in enumerate(zip(received, expected, strict=False)):
        assert got == wanted, f"line {at}:\n{got.decode()}\nshould be\n{wanted.decode()}"
    missing, more = expected[len(received) :], received[len(expected) :]
    assert not missing, f"after {len(received)} lines, these are missing: {missing}"
    assert not more, f"after {len(expected)} lines, there should be no more: {more}"

"""The reader over random histories of tables: added, renamed, dropped, re-created, and captured again at any moment."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from dstream_mssql_cdc.config import parse_start
from dstream_mssql_cdc.errors import ReadInterrupted
from dstream_mssql_cdc.state import ReaderState, Table, load_state
from dstream_mssql_cdc.stream.observer import Observer
from dstream_mssql_cdc.stream.reader import ChangeStream, PollPace
from dstream_mssql_cdc.stream.start import first_state
from hypothesis import given, settings
from hypothesis import strategies as st

from dstream.sdk import Checkpoint, Lines, Stop
from dstream.sdk.errors import RefusedError
from tests.unit.mssql_cdc.change_log import GUID, builder_for
from tests.unit.mssql_cdc.changing_tables import ChangingSource, ChangingTables, is_selected

LOST = {"mssql.table_renamed", "mssql.table_recreated", "mssql.instance_dropped", "mssql.instance_recreated"}


class Reports(Observer):
    """The object ids of the tables that were reported as changed."""

    def __init__(self) -> None:
        self.changed: set[int] = set()
        self._ids: dict[str, int] = {}

    def renamed(self, was: str, now: str) -> None:
        self._ids[now] = self._ids[was]

    def table_changed(self, name: str, why: RefusedError, now: Table | None) -> None:
        assert why.code in LOST
        self.changed.add(self._ids[name])

    def tables_changed(self, before: dict[str, Table], after: dict[str, Table]) -> None:
        self._ids |= {name: table.object_id for name, table in after.items()}


class Run:
    """Runs of a reader, each from a checkpoint of the one before, and the lines that a consumer keeps: those before the
    checkpoint, and then all lines of the next run."""

    def __init__(self, seed: int, policy: str) -> None:
        self._chance = Random(seed)
        self._policy = policy
        self.database = ChangingTables(self._chance)
        source = ChangingSource(self.database, self._chance, 0)
        self.state = first_state(parse_start("earliest"), GUID, source.captured(), source)
        self.lines: list[dict[str, Any]] = []
        self.reports = Reports()
        self._pace = PollPace(
            0.0,
            0.0,
            page_rows=self._chance.randint(1, 4),
            window_transactions=self._chance.randint(1, 4),
            checkpoint_lines=self._chance.randint(1, 4),
        )

    def read(self, acts: int, steps: int | None = None) -> None:
        """Read to the end, or until a crash after `steps` items."""
        source = ChangingSource(self.database, self._chance, acts)
        self.database.known = {table.object_id for table in self.state.tables.values()}
        self.database.known |= set(self.state.skipped.values())
        self.reports.tables_changed({}, self.state.tables)
        stream = ChangeStream(
            source,
            self.state,
            builder_for,
            self._pace,
            on_table_change=self._policy,
            observer=self.reports,
            new_id=lambda: f"{self._chance.getrandbits(32):08x}",
        )
        checkpoints = [(len(self.lines), self.state)]
        while not self._is_done(stream, checkpoints, steps):
            pass  # Reconnected.
        count, self.state = self._chance.choice(checkpoints) if steps is not None else checkpoints[-1]
        del self.lines[count:]

    def _is_done(self, stream: ChangeStream, checkpoints: list[tuple[int, ReaderState]], steps: int | None) -> bool:
        until = self.database.transactions[-1].lsn
        try:
            for item in stream.lines(Stop(), until=until):
                if isinstance(item, Lines):
                    self.lines += map(json.loads, item.data.splitlines())
                elif isinstance(item, Checkpoint):
                    loaded = load_state(json.loads(json.dumps(item.state)))
                    assert loaded is not None
                    checkpoints.append((len(self.lines), loaded))
                if steps is not None and len(checkpoints) > steps:
                    return True
        except ReadInterrupted:
            return False
        return until == self.database.transactions[-1].lsn

    def history(self) -> None:
        """Read while tables change, with crashes, and then to the end."""
        for _ in range(self._chance.randint(0, 3)):
            self.read(acts=self._chance.randint(0, 12), steps=self._chance.randint(0, 8))
        self.read(acts=self._chance.randint(0, 12))
        self.read(acts=0)


def order(line: dict[str, Any]) -> tuple[Any, ...]:
    metadata = line["metadata"]
    return (metadata["LSN"], metadata["CommandId"], metadata["Seq"], metadata["OperationID"], table_of(line))


def table_of(line: dict[str, Any]) -> int:
    return int(line["metadata"]["Id"].split("/")[1])


def lsn_in(id_: str) -> str:
    return id_.split("/")[2]


def expected_ids(database: ChangingTables) -> dict[int, list[str]]:
    """The ids of all changes, by object id, in order."""
    found: dict[int, list[str]] = {}
    for transaction in database.transactions:
        for row in transaction.rows:
            if row.operation != 3:
                id_ = f"{transaction.lsn.hex()}/{row.command}/{row.seqval.hex()}/{row.operation}"
                found.setdefault(row.table, []).append(f"6f9619ff/{row.table}/{id_}")
    return found


def check_changes(seed: int, policy: str) -> None:
    """Every change of each table arrives once and in order, unless the table was reported as changed."""
    run = Run(seed, policy)
    code = ""
    try:
        run.history()
    except RefusedError as error:
        code = error.code
    assert not code or (code in LOST and policy == "fail" and run.database.disturbed)
    keys = [order(line) for line in run.lines]
    assert keys == sorted(set(keys))
    received: dict[int, list[str]] = {}
    for line in run.lines:
        received.setdefault(table_of(line), []).append(line["metadata"]["Id"])
    current = {table.object_id: table for table in run.database.tables if is_selected(table.name)}
    for object_id, changes in expected_ids(run.database).items():
        got = received.get(object_id, [])
        assert set(got) <= set(changes)
        if code:
            assert got == changes[: len(got)] or object_id in run.database.unknown
        elif object_id in current:
            late = object_id in run.database.renamed_back
            assert got == changes or late or object_id in run.database.disturbed
            assert got == changes or late or object_id in run.reports.changed | run.database.unknown
            if (newest := current[object_id].instances[-1:]) and not late:
                begin = newest[0].start_lsn.hex()
                assert [id_ for id_ in got if lsn_in(id_) >= begin] == [id_ for id_ in changes if lsn_in(id_) >= begin]


def check_skipping(seed: int) -> None:
    check_changes(seed, "skip")


def check_failing(seed: int) -> None:
    check_changes(seed, "fail")


def check_resnapshots(seed: int) -> None:
    """A consumer that keeps a copy by key has every row of each table, and no other rows unless they were lost."""
    run = Run(seed, "resnapshot")
    run.history()
    run.read(acts=0)  # The changes captured after the end of a snapshot.
    copies: dict[int, dict[int, str]] = {}
    for line in run.lines:
        copy = copies.setdefault(table_of(line), {})
        if line["metadata"]["OperationType"] == "Delete":
            copy.pop(line["data"]["Id"], None)
        else:
            copy[line["data"]["Id"]] = line["data"]["Name"]
    for table in run.database.tables:
        if table.instances and is_selected(table.name) and table.object_id not in run.database.unknown:
            copy = copies.get(table.object_id, {})
            assert {key: copy.get(key) for key in table.rows} == table.rows
            assert copy.keys() == table.rows.keys() or table.object_id in run.database.disturbed
    assert not any(table.snapshot for table in run.state.tables.values())


Check = Callable[[int], None]
CHECKS = pytest.mark.parametrize("check", [check_skipping, check_failing, check_resnapshots])


@CHECKS
@settings(max_examples=70, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_tables_that_change_lose_nothing_in_silence_and_stop_no_other(check: Check, seed: int) -> None:
    check(seed)


@pytest.mark.soak
@CHECKS
def test_thousands_of_histories_of_tables_that_change(check: Check) -> None:
    for seed in range(700):
        check(seed)

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec
import pytest
from dstream_mssql_cdc.catalog.instances import CapturedInstance, CapturedTable, Watermark
from dstream_mssql_cdc.config import parse_start
from dstream_mssql_cdc.position import Position
from dstream_mssql_cdc.snapshot.plan import completed
from dstream_mssql_cdc.state import ReaderState, TableSnapshot, load_state
from dstream_mssql_cdc.stream.start import checked_state, first_state

from dstream.sdk.errors import ConfigError, DStreamError, RefusedError


def lsn(number: int) -> bytes:
    return number.to_bytes(10)


def captured(name: str, start: int, created: str = "2024-01-01") -> CapturedTable:
    mark = Watermark(name, 1, 5, lsn(start), created)
    return CapturedTable(f"dbo.{name}", 5, (CapturedInstance(mark, (), ()),))


@dataclass
class Log:
    end: int | None = 500
    at_time: int | None = None
    tran_id: bytes | None = None
    offsets: list[tuple[str, bytes | None]] | None = None

    def max_lsn(self) -> bytes | None:
        return None if self.end is None else lsn(self.end)

    def tran_id_at(self, lsn: bytes) -> bytes | None:
        return self.tran_id

    def lsn_at(self, time: str) -> bytes | None:
        assert time == "2024-02-29T10:00:00"
        return None if self.at_time is None else lsn(self.at_time)

    def cdc_offsets(self) -> list[tuple[str, bytes | None]] | None:
        return self.offsets


def started(text: str, log: Log, *tables: CapturedTable) -> Position:
    return first_state(
        parse_start(text), "guid", tables or (captured("a", 100), captured("b", 70)), log, lambda: "5a"
    ).position


def test_earliest_is_the_lowest_start_of_any_table() -> None:
    assert started("earliest", Log()) == Position.end_of(lsn(69))


def test_the_first_state_records_where_each_table_starts() -> None:
    first = first_state(parse_start("earliest"), "guid", [captured("a", 100), captured("b", 70)], Log(), lambda: "5a")
    assert {name: table.instances[0].from_ for name, table in first.tables.items()} == {
        "dbo.a": lsn(100).hex(),
        "dbo.b": lsn(70).hex(),
    }


def test_earliest_is_at_most_the_last_captured_lsn() -> None:
    assert started("earliest", Log(end=60)) == Position.end_of(lsn(60))
    assert started("earliest", Log(end=None)) == Position.end_of(lsn(0))


def test_latest_is_the_last_captured_lsn() -> None:
    assert started("latest", Log()) == Position.end_of(lsn(500))


@pytest.mark.parametrize(("end", "expected"), [(500, 500), (60, 100), (None, 100)])
def test_a_snapshot_streams_after_every_lsn_that_the_server_knows(end: int | None, expected: int) -> None:
    """Right after capture is enabled, the last captured LSN is below the start of the table's instance."""
    first = first_state(
        parse_start("snapshot"), "guid", [captured("a", 100), captured("b", 70)], Log(end), lambda: "5a"
    )
    assert first.position == Position.end_of(lsn(expected))
    assert {name: table.snapshot for name, table in first.tables.items()} == dict.fromkeys(
        ("dbo.a", "dbo.b"), TableSnapshot("5a", lsn(expected).hex())
    )


def test_only_a_checkpoint_with_a_snapshot_has_the_version_that_older_providers_refuse() -> None:
    first = first_state(parse_start("snapshot"), "guid", [captured("a", 100)], Log(), lambda: "5a")
    table = first.tables["dbo.a"]
    done = msgspec.structs.replace(first, tables={"dbo.a": completed(table, datetime(2024, 2, 29))})
    assert [state.stored()["v"] for state in (first, done)] == [2, 1]
    assert [load_state(state.stored()) for state in (first, done)] == [first, done]


def test_a_start_lsn_is_inclusive() -> None:
    assert started(lsn(200).hex(), Log()).next_lsn == lsn(200)


@pytest.mark.parametrize(("number", "kind"), [(69, RefusedError), (502, ConfigError)])
def test_an_lsn_outside_the_captured_range_is_refused(number: int, kind: type[DStreamError]) -> None:
    with pytest.raises(kind):
        started(lsn(number).hex(), Log())


def test_a_start_time_is_the_first_transaction_committed_then_or_later() -> None:
    assert started("2024-02-29 10:00:00", Log(at_time=300)).next_lsn == lsn(300)
    assert started("2024-02-29 10:00:00", Log(at_time=None)) == Position.end_of(lsn(500))


def taken_over(*offsets: tuple[str, bytes | None]) -> ReaderState:
    tables = [captured("a", 100), captured("b", 70), captured("c", 80)]
    return first_state(parse_start("cdc_offsets"), "guid", tables, Log(offsets=list(offsets)))


def test_each_table_continues_with_the_transaction_at_its_cdc_offset() -> None:
    first = taken_over(("A", lsn(300)), ("b", lsn(200)), ("other", lsn(1)))
    begins = {name: table.instances[0].from_ for name, table in first.tables.items()}
    assert begins == {"dbo.a": lsn(300).hex(), "dbo.b": lsn(200).hex(), "dbo.c": lsn(80).hex()}
    assert first.position.next_lsn == lsn(80)


def test_a_cdc_offset_older_than_the_change_table_stays_so_that_the_gap_is_found() -> None:
    first = taken_over(("a", lsn(60)), ("b", lsn(200)), ("c", None))
    assert (first.position.next_lsn, first.tables["dbo.a"].instances[0].from_) == (lsn(60), lsn(60).hex())


@pytest.mark.parametrize(
    ("offsets", "reason"),
    [
        (None, "no table dbo.cdc_offsets"),
        ([("other", lsn(1))], "no row"),
        ([("a", lsn(501))], "later than the last captured LSN"),
    ],
)
def test_cdc_offsets_of_another_database_are_refused(
    offsets: list[tuple[str, bytes | None]] | None, reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        first_state(parse_start("cdc_offsets"), "guid", [captured("a", 100)], Log(offsets=offsets))
    assert caught.value.code == "mssql.cdc_offsets"


def state() -> ReaderState:
    first = first_state(parse_start("latest"), "guid", [captured("a", 1)], Log(), lambda: "5a")
    loaded = load_state(msgspec.json.decode(msgspec.json.encode(first.stored())))
    assert loaded == first
    return loaded


TRAN = b"\x01" * 10


@pytest.mark.parametrize(
    ("found", "created", "is_same"),
    [(TRAN, "2024-01-01", True), (b"\x02" * 10, "2024-01-01", False), (None, "2024-01-01", False), (TRAN, "x", False)],
)
def test_a_new_broker_guid_is_accepted_if_all_else_is_the_same(
    found: bytes | None, created: str, is_same: bool
) -> None:
    known = state().moved(state().position, TRAN.hex())
    tables = [captured("a", 1, created)]
    if not is_same:
        with pytest.raises(RefusedError):
            checked_state(known, "other", tables, Log(tran_id=found), accept_changed=False)
        return
    checked = checked_state(known, "other", tables, Log(tran_id=found), accept_changed=False)
    assert (checked.db.service_broker_guid, checked.tran_id) == ("other", TRAN.hex())
    assert checked.db.id_prefix == known.db.id_prefix
    again = checked_state(checked, "third", tables, Log(tran_id=found), accept_changed=False)
    assert again.db.id_prefix == known.db.id_prefix


def test_a_checkpoint_of_another_database_is_refused_unless_accepted() -> None:
    with pytest.raises(RefusedError) as caught:
        checked_state(state(), "other", [captured("a", 1)], Log(), accept_changed=False)
    assert caught.value.code == "mssql.another_database"
    accepted = checked_state(state(), "other", [captured("a", 1)], Log(), accept_changed=True)
    assert (accepted.db.service_broker_guid, accepted.position) == ("other", state().position)


@pytest.mark.parametrize(
    "stored",
    [
        {"next": 7},
        {**state().stored(), "v": 3},
        {**state().stored(), "pos": ["zz", 1, "00", 2, 5]},
    ],
)
def test_an_unreadable_checkpoint_is_refused(stored: dict[str, object]) -> None:
    with pytest.raises(RefusedError):
        load_state(stored)


def test_no_checkpoint_is_a_first_run() -> None:
    assert load_state({}) is None

"""The smallest histories of the errors that random ones have found. Each line is compared with the model."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from dstream_mssql_cdc.errors import ReadInterrupted
from dstream_mssql_cdc.stream.reader import PollPace

from tests.unit.mssql_cdc.live_database import LiveDatabase
from tests.unit.mssql_cdc.reader_history import Disturbances, ReaderHistory

ROW_BY_ROW = PollPace(0.0, 0.0, page_rows=1, checkpoint_lines=1)
MOMENTS = range(1, 40)


def one_table(*, seed: int = 1) -> LiveDatabase:
    """A database with one captured, empty table."""
    database = LiveDatabase(Random(seed))
    database.create()
    (table,) = database.tables
    table.has_key = True
    if not table.instances:
        database.enable()
    return database


def write(database: LiveDatabase, transactions: int) -> None:
    for _ in range(transactions):
        database.write()


def test_a_snapshot_of_an_empty_table_has_no_schema_record() -> None:
    ReaderHistory(one_table(), "snapshot", schema_records=True).to_the_end()


def test_a_schema_record_that_an_interruption_delays_is_that_of_its_row() -> None:
    """The table gets another shape after the reader has decided to read its rows."""
    for moment in MOMENTS:
        database = one_table()
        write(database, 5)

        def interrupt(database: LiveDatabase = database) -> None:
            database.widen()
            raise ReadInterrupted("mssql.interrupted", "the connection was lost")

        history = ReaderHistory(database, "snapshot", ROW_BY_ROW, schema_records=True)
        history.run(Disturbances(script={moment: interrupt}))
        history.to_the_end()


def test_a_third_instance_with_the_name_of_the_first_is_read() -> None:
    database = one_table()
    history = ReaderHistory(database)
    database.enable()
    write(database, 5)
    history.run()
    database.add_column()
    database.replace_older()
    write(database, 5)
    history.to_the_end()


def test_an_older_instance_that_was_cleaned_up_further_is_not_the_next_one() -> None:
    database = one_table()
    database.add_column()
    database.enable()
    write(database, 9)
    database.capture()
    older, _ = database.tables[0].instances
    older.start_lsn = database.log[-2].lsn
    history = ReaderHistory(database)
    history.to_the_end()


def test_a_requested_snapshot_is_taken_when_the_connection_is_lost_meanwhile() -> None:
    def interrupt() -> None:
        raise ReadInterrupted("mssql.interrupted", "the connection was lost")

    for moment in MOMENTS:
        database = one_table()
        write(database, 5)
        database.create("dbo.Other")
        history = ReaderHistory(database)
        names = [table.name for table in database.tables if table.instances]
        history.run(Disturbances(script={moment: interrupt}), requests=[*names, "unknown"])
        history.to_the_end()


@pytest.mark.parametrize("on_gap", ["continue", "resnapshot"])
def test_cleanup_between_the_two_rows_of_an_update_does_not_end_the_run(on_gap: str) -> None:
    for moment in MOMENTS:
        database = one_table()
        write(database, 12)
        history = ReaderHistory(database, pace=ROW_BY_ROW)
        history.settings = replace(history.settings, on_gap=on_gap)
        assert history.run(Disturbances(script={moment: database.clean_up})) is None
        history.to_the_end()


@pytest.mark.parametrize("on_gap", ["continue", "resnapshot"])
def test_after_a_gap_rows_have_the_shape_of_the_instance_they_are_read_from(on_gap: str) -> None:
    for moment in MOMENTS:
        database = one_table()
        write(database, 3)
        database.add_column()
        database.enable()
        write(database, 9)
        history = ReaderHistory(database, pace=ROW_BY_ROW, schema_records=True)
        history.settings = replace(history.settings, on_gap=on_gap)
        history.run(Disturbances(script={moment: database.clean_up}))
        history.to_the_end()


def test_a_fenced_snapshot_that_is_interrupted_starts_over_in_either_mode() -> None:
    for is_fenced in (True, False):
        for moment in MOMENTS:
            database = one_table()
            write(database, 9)
            history = ReaderHistory(database, "snapshot", ROW_BY_ROW)
            history.settings = replace(history.settings, fenced_snapshots=True)
            history.run(Disturbances(items=moment))
            write(database, 2)
            history.settings = replace(history.settings, fenced_snapshots=is_fenced)
            history.run()
            history.to_the_end()

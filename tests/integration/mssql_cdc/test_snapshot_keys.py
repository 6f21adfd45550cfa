"""Snapshots of tables with keys of every type are resumed after every row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dstream_mssql_cdc.snapshot import keys
from dstream_mssql_cdc.snapshot.reader import key_of
from dstream_mssql_cdc.state import load_state
from dstream_mssql_cdc.stream.reader import ChangeStream, PollPace

from dstream.sdk import Checkpoint, Lines, Stop
from tests.integration.mssql_cdc.source_server import Reading, SourceDatabase, provider, read

SNAPSHOT = {"start_from": "snapshot"}


KEYS: dict[str, tuple[str, list[str]]] = {
    "int": ("int", ["-5", "0", "7", "2147483647"]),
    "bigint": ("bigint", ["-9223372036854775808", "9007199254740993", "9223372036854775807"]),
    "bit": ("bit", ["0", "1"]),
    "decimal": ("decimal(38, 10)", ["-1234567890123456789012345678.1234567890", "0.0000000001", "0.0000000002"]),
    "decimal without integer digits": ("decimal(38, 38)", ["-0.99999999999999999999999999999999999999", "0", "1E-38"]),
    "smallmoney": ("smallmoney", ["-214748.3648", "0.0001", "214748.3647"]),
    "money": ("money", ["-922337203685477.5808", "0.0001", "922337203685477.5807"]),
    "float": ("float", ["-1.7976931348623157E308", "0.1", "0.30000000000000004", "1E22", "5"]),
    "real": ("real", ["-3.4028235E38", "0.1", "0.2", "16777216"]),
    "date": ("date", ["'0001-01-01'", "'2024-02-29'", "'9999-12-31'"]),
    "time": ("time(7)", ["'00:00:00'", "'12:00:00.0000001'", "'12:00:00.0000002'"]),
    "datetime": ("datetime", ["'1753-01-01'", "'2024-02-29T10:00:00.003'", "'2024-02-29T10:00:00.007'"]),
    "smalldatetime": ("smalldatetime", ["'2024-02-29T10:00'", "'2024-02-29T10:01'"]),
    "datetime2": ("datetime2(7)", ["'2024-02-29T10:00:00.0000001'", "'2024-02-29T10:00:00.0000002'"]),
    "datetimeoffset": (
        "datetimeoffset(7)",
        ["'2024-02-29T10:00:00.0000001+02:00'", "'2024-02-29T08:00:00.0000002Z'", "'2024-02-29T09:59:59-14:00'"],
    ),
    "uniqueidentifier": (
        "uniqueidentifier",
        [
            "'00000000-0000-0000-0000-010000000000'",
            "'01000000-0000-0000-0000-000000000000'",
            "'00000000-0001-0000-0000-000000000000'",
        ],
    ),
    "char": ("char(4)", ["''", "'a'", "'ab'"]),
    "varchar": ("varchar(20)", ["''", "'a''b'", "'Ä'", "'z'"]),
    "varchar, another collation": ("varchar(20) COLLATE Latin1_General_CS_AS", ["'a'", "'A'", "'Ä'", "'€'"]),
    "binary collation": ("varchar(20) COLLATE Latin1_General_BIN2", ["'A'", "'Z'", "'a'", "'ä'"]),
    "ignoring accents": ("nvarchar(20) COLLATE Latin1_General_CI_AI", ["N'a'", "N'É'", "N'f'", "N'Z'"]),
    "alias type": ("sysname", ["N'a'", "N'B'", "N'c'"]),
    "nvarchar": ("nvarchar(20)", ["N''", "N'a'", "N'é'", "N'🦜'", "N'日本'"]),
    "nchar": ("nchar(3)", ["N'a'", "N'ab'"]),
    "binary": ("binary(3)", ["0x000001", "0x0000FF", "0xFF0000"]),
    "varbinary": ("varbinary(5)", ["0x", "0x01", "0x0100", "0xFF"]),
    "rowversion": ("rowversion", []),
    "hierarchyid": ("hierarchyid", ["'/'", "'/1/'", "'/1/2/'", "'/2/'"]),
}


def resumed_after_every_chunk(config: dict[str, Any]) -> Reading:
    """Read to the end, one row per chunk, with a new reader from the stored checkpoint after each."""
    reading = Reading()
    one = provider(config, lambda line: None, once=True)
    one.start()
    try:
        assert one._server is not None
        state = one._start_state({})
        until = one._server.max_lsn()
        pace = PollPace(0.0, 0.0, page_rows=1)
        while any(table.snapshot for table in state.tables.values()):
            stream = ChangeStream(one._server, state, one._builder, pace)
            for item in stream.lines(Stop(), until=until):
                if isinstance(item, Lines):
                    reading.lines += item.data.splitlines()
                elif isinstance(item, Checkpoint):
                    loaded = load_state(json.loads(json.dumps(item.state)))
                    assert loaded is not None
                    if loaded != state:
                        state = loaded
                        break
    finally:
        one.close()
    return reading


def bounded_by_every_key(config: dict[str, Any]) -> Iterator[str]:
    """Check that each key of a table divides its rows into those up to it and those after it."""
    one = provider(config, lambda line: None, once=True)
    one.start()
    try:
        server = one._server
        assert server is not None
        for table in server.captured():
            builder = one._builder(table, table.instances[0].mark.instance)
            described = server.describe(table.object_id)
            key = key_of(described, builder)
            rows = server.chunk(described, key, builder, None, None, 100, 10**6).rows
            for count, row in enumerate(rows, 1):
                bound = keys.stored(key, row)
                upper = server.chunk(described, key, builder, None, bound, 100, 10**6)
                lower = server.chunk(described, key, builder, bound, None, 100, 10**6)
                assert [*map(list, upper.rows)] == [*map(list, rows[:count])], (table.name, bound)
                assert [*map(list, lower.rows)] == [*map(list, rows[count:])], (table.name, bound)
            assert keys.stored(key, server.last_key(described, key) or ()) == bound
            yield table.name
    finally:
        one.close()


def test_keys_of_every_type_are_resumed_after_every_row(database: SourceDatabase) -> None:
    for number, (type_, values) in enumerate(KEYS.values()):
        database.run(f"CREATE TABLE dbo.T{number} (K {type_} NOT NULL PRIMARY KEY, N int)")
        database.capture(f"dbo.T{number}")
        columns, rows = ("K, N", [f"({value}, 1)" for value in values]) if values else ("N", ["(1)", "(1)", "(1)"])
        for row in rows:
            database.run(f"INSERT INTO dbo.T{number} ({columns}) VALUES {row}")
    changes = read(database.config("dbo.*")).events
    events = resumed_after_every_chunk(database.config("dbo.*", **SNAPSHOT)).events
    assert len({event["metadata"]["Id"] for event in events}) == len(events)
    for number, kind in enumerate(KEYS):
        rows = [event["data"] for event in events if event["metadata"]["TableName"] == f"dbo.T{number}"]
        inserted = [event["data"] for event in changes if event["metadata"]["TableName"] == f"dbo.T{number}"]
        assert sorted(map(json.dumps, rows)) == sorted(map(json.dumps, inserted)), kind
    assert len([*bounded_by_every_key(database.config("dbo.*", **SNAPSHOT))]) == len(KEYS)


def test_composite_descending_and_null_keys_are_resumed_in_the_order_of_the_index(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.T (A int NULL, B varchar(5) NULL, N int)")
    database.run("CREATE UNIQUE INDEX U ON dbo.T (A DESC, B)")
    database.run("EXEC sys.sp_cdc_enable_table N'dbo', N'T', @role_name = NULL, @index_name = N'U'")
    values = [(a, b) for a in (1, 2, 3) for b in ("x", "y", None)] + [(None, "x"), (None, None)]
    for a, b in values:
        database.run(f"INSERT INTO dbo.T VALUES ({a or 'NULL'}, {repr(b) if b else 'NULL'}, 1)")
    events = resumed_after_every_chunk(database.config("T", **SNAPSHOT)).events
    rows = [(event["data"]["A"], event["data"]["B"]) for event in events]
    assert rows == [(a, b) for a in (3, 2, 1) for b in (None, "x", "y")] + [(None, None), (None, "x")]
    assert [*bounded_by_every_key(database.config("T", **SNAPSHOT))] == ["dbo.T"]
    larger_chunks = read(database.config("T", **SNAPSHOT), pace={"page_rows": 4}).events
    assert [(event["data"]["A"], event["data"]["B"]) for event in larger_chunks] == rows

"""Every SQL Server type arrives losslessly: written as a literal, received as the documented JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.running import DStream, Sandbox

HCL = """
task "types" {{
  input {{
    provider = "mssql_cdc"
    config {{
      db_connection_string = env("MSSQL_CONNECTION_STRING")
      tables = ["dbo.{table}"]
    }}
  }}
  output {{
    provider = "servicebus"
    config {{
      connection_string = env("ASB_CONNECTION_STRING")
      queue = "{queue}"
    }}
  }}
}}
"""

TYPES = [
    # type, T-SQL literal, JSON
    ("tinyint", "255", 255),
    ("smallint", "-32768", -32768),
    ("int", "2147483647", 2147483647),
    ("bigint", "-9223372036854775808", -9223372036854775808),
    ("bit", "1", True),
    ("decimal(38,10)", "-1234567890123456789012345678.0123456789", "-1234567890123456789012345678.0123456789"),
    ("numeric(5,2)", "12.5", "12.50"),
    ("money", "922337203685477.5807", "922337203685477.5807"),
    ("smallmoney", "-214748.3648", "-214748.3648"),
    ("float", "0.1", 0.1),
    ("real", "0.1", 0.1),
    ("char(5)", "'ab'", "ab   "),
    ("varchar(20)", "'plain  '", "plain  "),
    ("varchar(max)", "REPLICATE(CAST('x' AS varchar(max)), 9000)", "x" * 9000),
    ("nchar(4)", "N'ü'", "ü   "),
    ("nvarchar(40)", "N'小林 🦜 \u0645'", "小林 🦜 \u0645"),
    ("nvarchar(max)", "REPLICATE(CAST(N'🦜' AS nvarchar(max)), 5000)", "🦜" * 5000),
    ("text", "'old text'", "old text"),
    ("ntext", "N'old 文'", "old 文"),
    ("binary(4)", "0x0102", base64.b64encode(b"\x01\x02\x00\x00").decode()),
    ("varbinary(10)", "0xDEADBEEF", base64.b64encode(b"\xde\xad\xbe\xef").decode()),
    ("image", "0x00FF", base64.b64encode(b"\x00\xff").decode()),
    ("date", "'2024-02-29'", "2024-02-29"),
    ("time(7)", "'23:59:59.1234567'", "23:59:59.1234567"),
    ("time(0)", "'23:59:59'", "23:59:59"),
    ("datetime", "'2024-02-29T23:59:59.997'", "2024-02-29T23:59:59.997"),
    ("smalldatetime", "'2024-02-29T23:59:00'", "2024-02-29T23:59:00"),
    ("datetime2(7)", "'9999-12-31T23:59:59.9999999'", "9999-12-31T23:59:59.9999999"),
    ("datetime2(3)", "'0001-01-01T00:00:00'", "0001-01-01T00:00:00.000"),
    ("datetimeoffset(7)", "'2024-02-29T23:59:59.1234567+02:00'", "2024-02-29T23:59:59.1234567+02:00"),
    ("datetimeoffset(0)", "'2024-02-29T23:59:59-09:30'", "2024-02-29T23:59:59-09:30"),
    ("uniqueidentifier", "'6F9619FF-8B86-D011-B42D-00C04FC964FF'", "6F9619FF-8B86-D011-B42D-00C04FC964FF"),
    ("xml", "N'<a b=\"1\">x</a>'", '<a b="1">x</a>'),
    ("sql_variant", "CAST(1.5 AS decimal(10,2))", {"type": "decimal(10,2)", "value": "1.50"}),
    ("hierarchyid", "CAST('/1/3/' AS hierarchyid)", "/1/3/"),
    ("geography", "geography::Point(47.65, -122.34, 4326)", {"wkt": "POINT (-122.34 47.65)", "srid": 4326}),
    ("geometry", "geometry::STGeomFromText('POINT (1 2)', 0)", {"wkt": "POINT (1 2)", "srid": 0}),
]


@pytest.fixture(scope="session")
def typed_table(sandbox: Sandbox) -> str:
    """A table with a column for each type, and a rowversion."""
    columns = ", ".join(f"c{n} {kind} NULL" for n, (kind, _, _) in enumerate(TYPES))
    sandbox.sql(f"CREATE TABLE dbo.Types (Id int NOT NULL PRIMARY KEY, rv rowversion, {columns})")
    sandbox.sql("EXEC sys.sp_cdc_enable_table @source_schema = 'dbo', @source_name = 'Types', @role_name = NULL")
    sandbox.create_queue("types")
    return "Types"


def test_each_type_arrives_as_its_json_and_null_as_null(
    sandbox: Sandbox, dstream: Callable[..., DStream], typed_table: str
) -> None:
    names = ", ".join(f"c{n}" for n in range(len(TYPES)))
    values = ", ".join(literal for _, literal, _ in TYPES)
    sandbox.sql(f"INSERT INTO dbo.Types (Id, {names}) VALUES (1, {values})")
    sandbox.sql("INSERT INTO dbo.Types (Id) VALUES (2)")

    done = dstream(HCL.format(table="Types", queue="types"), sandbox.env)("run", "types", "--once")

    assert done.returncode == 0, done.stderr
    full, empty = (message.event["data"] for message in sandbox.receive("types", 2))
    wrong = {kind: (full[f"c{n}"], wanted) for n, (kind, _, wanted) in enumerate(TYPES) if full[f"c{n}"] != wanted}
    assert wrong == {}
    assert [empty[f"c{n}"] for n in range(len(TYPES))] == [None] * len(TYPES)
    version = sandbox.sql("SELECT CONVERT(varchar(20), CAST(rv AS binary(8)), 2) FROM dbo.Types WHERE Id = 1")[0][0]
    assert full["rv"].upper() == version


@pytest.fixture
def premium(tmp_path: Path) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path / "premium", "--profile", "premium").start()
    yield sandbox
    sandbox.stop()


@pytest.mark.parametrize(
    ("name", "size", "settings"),
    [("sandbox", 150_000, {}), ("premium", 1_000_000, {"max_message_size_in_kilobytes": 10_240})],
    ids=["standard", "premium"],
)
def test_a_large_value_arrives_whole_and_is_omitted_if_unchanged(
    name: str, size: int, settings: dict[str, int], request: pytest.FixtureRequest, dstream: Callable[..., DStream]
) -> None:
    sandbox: Sandbox = request.getfixturevalue(name)
    value = bytes(range(256)) * (size // 256)
    sandbox.sql("CREATE TABLE dbo.Big (Id int NOT NULL PRIMARY KEY, Small int NOT NULL, Content varbinary(max) NULL)")
    sandbox.sql("EXEC sys.sp_cdc_enable_table @source_schema = 'dbo', @source_name = 'Big', @role_name = NULL")
    sandbox.create_queue("big", **settings)
    sandbox.sql("INSERT INTO dbo.Big (Id, Small, Content) VALUES (1, 1, ?)", value)
    sandbox.sql("UPDATE dbo.Big SET Small = 2 WHERE Id = 1")

    done = dstream(HCL.format(table="Big", queue="big"), sandbox.env)("run", "types", "--once")

    assert done.returncode == 0, done.stderr
    inserted, updated = sandbox.receive("big", 2)
    assert base64.b64decode(inserted.event["data"]["Content"]) == value
    assert len(inserted.body) > size
    assert json.dumps(updated.event["data"]) == json.dumps({"Id": 1, "Small": 2})
    assert updated.metadata["Unchanged"] == ["Content"]

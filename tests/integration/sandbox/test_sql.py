"""`dstream sandbox sql` and `load`."""

from __future__ import annotations

import json
import struct

import pyodbc
import pytest
from dstream_sandbox import clients

from tests.integration.sandbox.commands import Commands
from tests.running import Sandbox


@pytest.fixture(scope="module")
def commands(sandbox: Sandbox) -> Commands:
    return Commands(sandbox.folder.path)


def test_rows_go_to_stdout_with_tabs_and_NULL(commands: Commands) -> None:
    assert commands("sql", "SELECT 1, NULL, CAST(1 AS bit), 0x00ff UNION ALL SELECT 2, N'é', 0, NULL").stdout == (
        "1\tNULL\t1\t0x00FF\n2\té\t0\tNULL\n"
    )


def test_row_counts_and_prints_go_to_stderr(commands: Commands) -> None:
    done = commands("sql", "CREATE TABLE #t (i int); INSERT #t VALUES (1), (2); PRINT N'halfway'; DELETE #t")
    assert done.stdout == ""
    assert done.stderr.splitlines() == ["2 rows affected", "halfway", "2 rows affected"]


def test_json_values_are_typed_and_lossless(commands: Commands) -> None:
    (row,) = commands.rows(
        "sql",
        "--json",
        """SELECT CAST(9007199254740993 AS bigint) AS i, CAST(1 AS bit) AS b, CAST(0.1 AS float) AS f, NULL AS n, N'🦜' AS s,
        CAST('12345678901234567890123456789012345.678' AS decimal(38,3)) AS d, CAST('0.0001' AS money) AS m,
        CAST(0.0000000001 AS decimal(20,10)) AS small, CAST('2024-01-02T03:04:05.1234567' AS datetime2(7)) AS at,
        CAST('23:59:59.9999999' AS time(7)) AS t, CAST('2024-02-29' AS date) AS day,
        CAST('2024-01-02T03:04:05.1234567-05:30' AS datetimeoffset(7)) AS o, CAST(0x01 AS binary(2)) AS bin,
        CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier) AS g""",
    )
    assert row == {
        "i": 9007199254740993,
        "b": True,
        "f": 0.1,
        "n": None,
        "s": "🦜",
        "d": "12345678901234567890123456789012345.678",
        "m": "0.0001",
        "small": "0.0000000001",
        "at": "2024-01-02T03:04:05.1234567",
        "t": "23:59:59.9999999",
        "day": "2024-02-29",
        "o": "2024-01-02T03:04:05.1234567-05:30",
        "bin": "0x0100",
        "g": "6F9619FF-8B86-D011-B42D-00C04FC964FF",
    }


def test_unnamed_and_duplicate_columns_are_kept(commands: Commands) -> None:
    assert commands.rows("sql", "--json", "SELECT 1, 2, 3 AS a, 4 AS a") == [
        {"column1": 1, "column2": 2, "a": 3, "a_4": 4}
    ]


def test_several_results_are_printed_in_order(commands: Commands) -> None:
    assert commands.rows("sql", "--json", "SELECT 1 AS a; SELECT 2 AS b WHERE 1 = 0; SELECT 3 AS c") == [
        {"a": 1},
        {"c": 3},
    ]


def test_an_error_prints_sql_servers_message_and_exits_with_1(commands: Commands) -> None:
    assert commands.error("sql", "SELECT * FROM dbo.Nowhere") == "Msg 208: Invalid object name 'dbo.Nowhere'."
    assert commands.error("sql", "RAISERROR(N'odd (208) [text]', 16, 1)") == "Msg 50000: odd (208) [text]"


def test_results_before_an_error_are_shown(commands: Commands) -> None:
    done = commands("sql", "SELECT 1; SELECT 1/0", code=1)
    assert done.stdout == "1\n"
    assert done.stderr == "Error: Msg 8134: Divide by zero error encountered.\n"


def test_a_script_runs_on_one_connection_and_stops_at_an_error(commands: Commands) -> None:
    script = "CREATE TABLE #t (i int)\nGO\nINSERT #t VALUES (1)\ngo 3\nSELECT COUNT(*) FROM #t\nGO\nTHROW 50001, 'end', 1\nGO\nSELECT 9"
    done = commands("sql", stdin=script, code=1)
    assert done.stdout == "3\n"
    assert done.stderr.splitlines()[-1] == "Error: Msg 50001: end"


def test_load_reports_as_many_changes_as_cdc_captures(commands: Commands) -> None:
    told = commands("load", "--rows", "60").stderr
    (row,) = commands.rows(
        "sql",
        "--json",
        """SELECT (SELECT COUNT(*) FROM cdc.dbo_Customers_CT WHERE __$operation <> 3)
        + (SELECT COUNT(*) FROM cdc.dbo_Orders_CT WHERE __$operation <> 3)
        + (SELECT COUNT(*) FROM cdc.dbo_OrderLines_CT WHERE __$operation <> 3) AS changes""",
    )
    assert told.startswith(f"{row['changes']} rows changed in ")
    assert row["changes"] >= 60


def test_a_token_logs_an_identity_in_to_a_database_with_a_user_for_it(sandbox: Sandbox, commands: Commands) -> None:
    sandbox.sql("CREATE USER [orders] FROM EXTERNAL PROVIDER WITH OBJECT_ID = '5f0c1f6e-6b0a-4b6b-9a52-0d3f6f1f8a11'")
    told = commands("token", "5F0C1F6E-6b0a-4b6b-9a52-0d3f6f1f8a11", "--resource", "https://database.windows.net")
    token = json.loads(told.stdout)["accessToken"].encode("utf-16-le")
    text = (
        f"DRIVER={clients.odbc_driver()};Server=127.0.0.1,{sandbox.settings.sql_port};Database=sandbox;"
        "TrustServerCertificate=yes"
    )
    with pyodbc.connect(text, attrs_before={1256: struct.pack("<I", len(token)) + token}) as connection:
        assert connection.execute("SELECT USER_NAME()").fetchval() == "orders"

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from dstream_mssql_cdc.health import statements as health
from dstream_mssql_cdc.position import Floor
from dstream_mssql_cdc.server import sql
from dstream_mssql_cdc.snapshot import statements


@pytest.mark.parametrize("statement", [*sql.statements(), *statements.statements(), *health.ALL])
def test_every_statement_only_reads_committed_data(statement: str) -> None:
    code = re.sub(r"N?'[^']*'|\[[^\]]*\]", "", statement).upper()
    assert "NOLOCK" not in code
    assert "UNCOMMITTED" not in code
    assert not re.search(r"\b(INSERT|UPDATE|DELETE|MERGE|EXEC|CREATE|ALTER|DROP|INTO)\b", code)


def test_no_statement_calls_the_function_that_contends_for_locks() -> None:
    """Estuary saw it recompile and block: github.com/estuary/connectors/pull/3475."""
    for statement in (sql.MAX_LSN, sql.poll(None), sql.poll(sql.CURRENT_TIME_ZONE), *sql.statements(), *health.ALL):
        assert "fn_cdc_get_max_lsn" not in statement.lower()


def test_every_read_of_changes_is_followed_by_the_watermarks() -> None:
    page, parameters = sql.page("dbo_T", 7, ["[Id]"], Floor(b"a"), b"b", (1, 2, 3, 4), 10)
    assert page.endswith(sql.WATERMARKS_OF_TABLE)
    assert parameters[-1] == 7
    for statement in (sql.poll(None), sql.poll(sql.CURRENT_TIME_ZONE), sql.probe(["dbo_T"] * 500)):
        assert statement.endswith(sql.WATERMARKS)


def test_a_page_binds_one_value_per_placeholder() -> None:
    for floor in (Floor(b"a"), Floor(b"a", 1), Floor(b"a", 1, b"s", 2), Floor(b"a", -1), Floor(b"a", -1, b"s", 2)):
        statement, parameters = sql.page("dbo_T", 7, [], floor, b"b", (1, 2), 10)
        assert statement.count("?") == len(parameters)


@pytest.mark.parametrize(("floor", "stages"), [(Floor(b"a"), 1), (Floor(b"a", 1), 2), (Floor(b"a", 1, b"s", 2), 3)])
def test_a_page_reads_all_later_ranges_with_one_select_each(floor: Floor, stages: int) -> None:
    statement, parameters = sql.page("dbo_T", 7, ["[Id]"], floor, b"b", (1, 2, 3, 4), 10)
    assert statement.count("FROM cdc.[dbo_T_CT]") == statement.count("ORDER BY [__$start_lsn]") == stages
    assert parameters.count(10) == 1  # One limit for all.
    assert " OR " not in statement.split("IF @left > 0")[-1]


def test_names_cannot_escape_their_brackets() -> None:
    assert sql.change_table("a]; DROP TABLE x --") == "cdc.[a]]; DROP TABLE x --_CT]"


def test_operations_select_the_rows_that_are_read() -> None:
    assert sql.operation_codes(["insert", "update", "delete"], before_images=True) == (1, 2, 3, 4)
    assert sql.operation_codes(["update"], before_images=False) == (4,)
    assert sql.operation_codes(["delete", "insert"], before_images=True) == (1, 2)


def test_the_driver_and_msgspec_are_not_loaded_before_the_first_line() -> None:
    code = (
        "import sys; import dstream_mssql_cdc.__main__; "
        "print([name for name in ('pyodbc', 'msgspec', 'decimal', 'mssql_python_odbc') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Captured tables of the sandbox: 14 columns and lines of about 600 bytes, or 40 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.running import Sandbox

BenchColumn = tuple[str, str, str]
"""Name, type, and value for row n."""

COLUMNS: tuple[BenchColumn, ...] = (
    ("Id", "int NOT NULL PRIMARY KEY", "n"),
    ("Customer", "int NOT NULL", "n % 5000"),
    ("Reference", "bigint NOT NULL", "CAST(n AS bigint) * 1000003"),
    ("Name", "nvarchar(100) NOT NULL", "CONCAT(N'Ada Lovelace ', n)"),
    ("City", "nvarchar(60) NULL", "N'Zürich'"),
    ("Street", "varchar(80) NULL", "'Some Street of middling length 12b'"),
    ("Status", "varchar(20) NOT NULL", "'shipped'"),
    ("Amount", "decimal(18,2) NOT NULL", "CAST(n AS decimal(18,2)) / 7"),
    ("Price", "money NULL", "9.9900"),
    ("Weight", "float NULL", "n / 3.0"),
    ("Active", "bit NOT NULL", "1"),
    ("Created", "datetime2(3) NOT NULL", "DATEADD(second, n, CAST('2026-01-02T03:04:05.678' AS datetime2(3)))"),
    ("Token", "uniqueidentifier NULL", "'6F9619FF-8B86-D011-B42D-00C04FC964FF'"),
    ("Note", "nvarchar(200) NULL", "N'a note that is neither short nor long, as notes are'"),
)

WIDE_COLUMNS = (
    COLUMNS[0],
    *((f"{name}{copy}", kind, value) for copy in (1, 2, 3) for name, kind, value in COLUMNS[1:]),
)


@contextmanager
def sandbox(*flags: str) -> Iterator[Sandbox]:
    """A temporary sandbox, stopped on exit."""
    with TemporaryDirectory() as folder:
        running = Sandbox(Path(folder), *flags).start()
        try:
            yield running
        finally:
            running.stop()


def create(sandbox: Sandbox, table: str, columns: Sequence[BenchColumn] = COLUMNS) -> None:
    """Create the table in dbo, empty, with capture enabled."""
    create_uncaptured(sandbox, table, columns)
    capture(sandbox, table)


def create_uncaptured(sandbox: Sandbox, table: str, columns: Sequence[BenchColumn] = COLUMNS) -> None:
    sandbox.sql(f"CREATE TABLE dbo.{table} ({', '.join(f'{name} {kind}' for name, kind, _ in columns)})")


def capture(sandbox: Sandbox, table: str) -> None:
    sandbox.sql(
        "EXEC sys.sp_cdc_enable_table @source_schema = 'dbo', @source_name = ?, @role_name = NULL",
        table,
    )


def fill(sandbox: Sandbox, table: str, rows: int, *, first: int = 1, columns: Sequence[BenchColumn] = COLUMNS) -> None:
    """Insert the rows in one transaction."""
    sandbox.sql(insert(table, f"GENERATE_SERIES({first}, {first + rows - 1})", columns))


def fill_in_turn(sandbox: Sandbox, tables: Sequence[str], rows: int, transactions: int) -> None:
    """Insert `rows` into the tables in turn, in transactions of one table each."""
    size = rows // transactions
    with closing(sandbox.connect()) as connection:
        for number in range(transactions):
            series = f"GENERATE_SERIES({number * size + 1}, {number * size + size})"
            connection.execute(insert(tables[number % len(tables)], series)).close()


def fill_one_by_one(sandbox: Sandbox, table: str, rows: int) -> None:
    """Insert each row in its own transaction."""
    with closing(sandbox.connect()) as connection:
        cursor = connection.cursor()
        for number in range(1, rows + 1):
            cursor.execute(insert(table, "(SELECT CAST(? AS int) AS value)"), number)


def insert(table: str, numbers: str, columns: Sequence[BenchColumn] = COLUMNS) -> str:
    names = ", ".join(name for name, _, _ in columns)
    values = ", ".join(value for _, _, value in columns)
    return f"INSERT INTO dbo.{table} ({names}) SELECT {values} FROM (SELECT value AS n FROM {numbers} AS s) AS t"

"""A captured table with prepared reads: fourteen columns, lines of about 600 bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.running import Sandbox

COLUMNS = (
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
    ("Created", "datetime2(3) NOT NULL", "'2026-01-02T03:04:05.678'"),
    ("Token", "uniqueidentifier NULL", "'6F9619FF-8B86-D011-B42D-00C04FC964FF'"),
    ("Note", "nvarchar(200) NULL", "N'a note that is neither short nor long, as notes are'"),
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


def create(sandbox: Sandbox, table: str) -> None:
    """Create the table, empty, with capture enabled."""
    columns = ", ".join(f"{name} {kind}" for name, kind, _ in COLUMNS)
    sandbox.sql(f"CREATE TABLE dbo.{table} ({columns})")
    sandbox.sql(
        "EXEC sys.sp_cdc_enable_table @source_schema = 'dbo', @source_name = ?, @role_name = NULL",
        table,
    )


def fill(sandbox: Sandbox, table: str, rows: int, *, first: int = 1) -> None:
    """Insert the rows in one transaction."""
    sandbox.sql(_insert(table, f"GENERATE_SERIES({first}, {first + rows - 1})"))


def fill_one_by_one(sandbox: Sandbox, table: str, rows: int) -> None:
    """Insert each row in its own transaction."""
    with closing(sandbox.connect()) as connection:
        cursor = connection.cursor()
        for number in range(1, rows + 1):
            cursor.execute(_insert(table, "(SELECT CAST(? AS int) AS value)"), number)


def _insert(table: str, numbers: str) -> str:
    names = ", ".join(name for name, _, _ in COLUMNS)
    values = ", ".join(value for _, _, value in COLUMNS)
    return f"INSERT INTO dbo.{table} ({names}) SELECT {values} FROM (SELECT value AS n FROM {numbers} AS s) AS t"

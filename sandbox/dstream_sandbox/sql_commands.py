"""`dstream sandbox sql` and `load`: the commands that use SQL Server."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dstream_sandbox.command import command, counted, data_option, open_folder, running_settings, show
from dstream_sandbox.errors import SandboxError
from dstream_sandbox.folder import Settings
from dstream_sandbox.printable import printable
from dstream_sandbox.sql_script import (
    as_json,
    as_text,
    batches,
    column_names,
    keep_all_digits,
    server_errors,
    server_note,
)

if TYPE_CHECKING:
    import pyodbc

_group = click.Group()


@command(
    _group,
    example='dstream sandbox sql "SELECT COUNT(*) AS n FROM dbo.Orders"\n'
    "dstream sandbox sql --json \"SELECT * FROM dbo.Orders WHERE Status = 'new'\"\n"
    "dstream sandbox sql < script.sql",
)
@data_option
@click.argument("statement", required=False)
@click.option(
    "--json", "as_json_lines", is_flag=True, help="Print one JSON object per row; decimals and times are strings."
)
def sql(data: Path, statement: str | None, *, as_json_lines: bool) -> None:
    """Run T-SQL.

    Without STATEMENT, reads batches separated by GO from stdin.

    Rows go to stdout with tab-separated columns; row counts and PRINT output go to stderr. Stops at the first error,
    with exit code 1.
    """
    settings = running_settings(open_folder(data))
    with _connected(settings) as connection:
        if statement is None and sys.stdin.isatty():
            _repl(connection, as_json_lines=as_json_lines)
            return
        for batch in batches(statement if statement is not None else sys.stdin.read()):
            _run(connection, batch, as_json_lines=as_json_lines)


@command(_group, example="dstream sandbox load --rows 10000 --rate 500")
@data_option
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Minimum number of rows to change; the last transaction is completed.",
)
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Rows per second (default: unlimited).")
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Random seed; the same seed makes the same changes."
)
def load(data: Path, rows: int, rate: float | None, seed: int) -> None:
    """Write to tables as an application would.

    Runs transactions of inserts, updates and deletes on Customers, Orders and OrderLines. Creates the tables and
    enables CDC on them if they are missing.
    """
    from dstream_sandbox import workload

    with _connected(running_settings(open_folder(data))) as connection:
        workload.create_tables(connection)
        started = time.monotonic()
        written = workload.Load(connection, seed=seed).run(rows, rate=rate)
    seconds = time.monotonic() - started
    show(f"{counted(written.total, 'row')} changed in {counted(written.transactions, 'transaction')}, {seconds:.1f} s")


@contextlib.contextmanager
def _connected(settings: Settings) -> Iterator[pyodbc.Connection]:
    """A connection. Errors from SQL Server are raised as SandboxError."""
    from dstream_sandbox import clients

    with _refusals(), contextlib.closing(clients.connect(settings)) as connection:
        keep_all_digits(connection)
        yield connection


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    import pyodbc

    try:
        yield
    except pyodbc.Error as error:
        raise SandboxError(server_errors(str(error.args[-1]))) from error


def _run(connection: pyodbc.Connection, batch: str, *, as_json_lines: bool) -> None:
    cursor = connection.execute(batch)
    while True:
        for _, note in cursor.messages or ():
            show(server_note(note))
        if cursor.description:
            _print_rows(cursor, as_json_lines=as_json_lines)
        elif cursor.rowcount >= 0:
            show(f"{counted(cursor.rowcount, 'row')} affected")
        if not cursor.nextset():
            return


def _print_rows(cursor: pyodbc.Cursor, *, as_json_lines: bool) -> None:
    names = column_names([column[0] for column in cursor.description])
    if not as_json_lines and sys.stdout.isatty():
        click.secho("\t".join(map(printable, names)), bold=True)
    for row in cursor:
        if as_json_lines:
            values = dict(zip(names, map(as_json, row), strict=True))
            click.echo(printable(json.dumps(values, ensure_ascii=False)))
        else:
            click.echo("\t".join(map(as_text, row)))


def _repl(connection: pyodbc.Connection, *, as_json_lines: bool) -> None:
    show("Enter T-SQL, one batch per line; press Ctrl-D to exit.")
    while True:
        try:
            line = input("1> ")
        except (EOFError, KeyboardInterrupt):
            return
        try:
            with _refusals():
                for batch in batches(line):
                    _run(connection, batch, as_json_lines=as_json_lines)
        except SandboxError as error:
            show(f"Error: {error}")

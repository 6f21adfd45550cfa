"""Bad input: one short error with the place and the fix, the documented exit code, and nothing delivered or stored."""

from __future__ import annotations

import re
import socket
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.running import DStream, Sandbox

INPUT = """    provider = "mssql_cdc"
    config {
      db_connection_string = env("MSSQL_CONNECTION_STRING")
      tables = ["dbo.Things"]
    }"""
OUTPUT = """    provider = "servicebus"
    config {
      connection_string = env("ASB_CONNECTION_STRING")
      queue = "things"
    }"""


def task(input_: str = INPUT, output: str = OUTPUT, extra: str = "") -> str:
    return f'task "t" {{\n{extra}  input {{\n{input_}\n  }}\n  output {{\n{output}\n  }}\n}}\n'


@pytest.fixture(scope="session")
def things(sandbox: Sandbox) -> Sandbox:
    """A captured table with one row, a table without capture, a queue, and a database without CDC."""
    sandbox.sql("CREATE TABLE dbo.Things (Id int NOT NULL PRIMARY KEY, Name nvarchar(max) NULL)")
    sandbox.sql("CREATE TABLE dbo.Plain (Id int NOT NULL PRIMARY KEY)")
    sandbox.sql("EXEC sys.sp_cdc_enable_table @source_schema = 'dbo', @source_name = 'Things', @role_name = NULL")
    sandbox.sql("INSERT INTO dbo.Things VALUES (1, N'one')")
    sandbox.sql("CREATE DATABASE Uncaptured")
    sandbox.sql("CREATE DATABASE Other")
    with sandbox.connect(database="Other") as other:
        other.execute("EXEC sys.sp_cdc_enable_db")
        other.execute("CREATE TABLE dbo.Things (Id int NOT NULL PRIMARY KEY, Name nvarchar(max) NULL)")
        other.execute("EXEC sys.sp_cdc_enable_table @source_schema = 'dbo', @source_name = 'Things', @role_name = NULL")
    sandbox.create_queue("things")
    return sandbox


@pytest.fixture(scope="module")
def closed_port() -> Iterator[int]:
    """A port that is bound but not listening, so that no other process can take it."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@dataclass(frozen=True)
class Case:
    """A user's mistake, and the expected error."""

    name: str
    exit_code: int
    code: str
    words: str
    """A pattern that stderr must contain."""
    hcl: str = task()
    place: str = ""
    """A pattern for the reported place."""
    env: tuple[tuple[str, str, str], ...] = ()
    """Variable, pattern, replacement; an empty pattern unsets the variable."""
    task: str = "t"


SQL = "MSSQL_CONNECTION_STRING"
BUS = "ASB_CONNECTION_STRING"
CASES = [
    Case("a syntax error", 3, "config.syntax", "", hcl='task "t" {\n  input {\n    provider = \n  }\n}\n', place=r"dstream\.hcl:3"),
    Case(
        "an unknown attribute of DStream", 3, "config.unknown_attribute", "max_lin", hcl=task(extra="  max_lin = 5\n"),
        place=r"dstream\.hcl:2:3",
    ),
    Case(
        "an unknown setting of a provider", 3, "config.invalid", 'unknown setting "poll_intervall".*|Did you mean',
        hcl=task(input_=INPUT.replace("tables =", 'poll_intervall = "1s"\n      tables =')), place=r"dstream\.hcl:6",
    ),
    Case("an unknown task", 3, "task.unknown", "unknown task", task="tt"),
    Case("an unset environment variable", 3, "config.env_unset", SQL, env=((SQL, "", ""),), place=r"dstream\.hcl:5"),
    Case("a provider that is not installed", 3, "provider.not_found", "not installed", hcl=task(INPUT.replace("mssql_cdc", "mssql_cdd"))),
    Case("a wrong password", 6, "mssql.login_failed", "", env=((SQL, "PWD=[^;]*", "PWD=wrong"),), place=r"dstream\.hcl:5"),
    Case("an unknown database", 6, "mssql.unknown_database", "Nowhere", env=((SQL, "Database=[^;]*", "Database=Nowhere"),)),
    Case(
        "CDC is off", 3, "mssql.cdc_disabled", "sp_cdc_enable_db", env=((SQL, "Database=[^;]*", "Database=Uncaptured"),)
    ),
    Case("an unknown table", 3, "mssql.unknown_table", "dbo.Thing", hcl=task(INPUT.replace("Things", "Thing")), place=r"dstream\.hcl:6"),
    Case("a table without capture", 3, "mssql.table_not_captured", "sp_cdc_enable_table", hcl=task(INPUT.replace("Things", "Plain"))),
    Case("a missing queue", 3, "servicebus.entity_not_found", "thingz", hcl=task(output=OUTPUT.replace("things", "thingz")), place=r"dstream\.hcl:13"),
    Case("a wrong key", 6, "servicebus.unauthorized", "", env=((BUS, "SharedAccessKey=[^;]*", "SharedAccessKey=bm90IGl0"),)),
    Case("a closed SQL Server port", 6, "mssql.unreachable", "", env=((SQL, r"127\.0\.0\.1,\d+", "127.0.0.1,{closed};Connection Timeout=2"),)),
    Case("a closed Service Bus port", 6, "servicebus.unreachable", "", env=((BUS, r"localhost:\d+", "localhost:{closed}"),)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_refused_before_streaming_starts(
    things: Sandbox, dstream: Callable[..., DStream], closed_port: int, case: Case
) -> None:
    env = things.env
    for name, pattern, replacement in case.env:
        if pattern:
            env[name], count = re.subn(pattern, replacement.format(closed=closed_port), env[name])
            assert count
        else:
            del env[name]
    command = dstream(case.hcl, env)

    done = command("run", case.task, "--once")

    assert done.returncode == case.exit_code, done.stderr
    assert f"[{case.code}]" in done.stderr
    assert re.search(case.words, done.stderr)
    assert re.search(case.place, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert_nothing_delivered_or_stored(things, command)
    for secret in (things.settings.sql_password, things.settings.servicebus_key):
        assert secret not in done.stderr


def test_a_missing_configuration_file_is_named(tmp_path: Path) -> None:
    done = DStream(tmp_path)("run", "t", "-c", "nowhere.hcl")
    assert done.returncode == 3
    assert "[config.file]" in done.stderr
    assert "nowhere.hcl" in done.stderr


def test_the_state_of_another_database_is_refused(things: Sandbox, dstream: Callable[..., DStream]) -> None:
    things.create_queue("elsewhere")
    command = dstream(task(output=OUTPUT.replace("things", "elsewhere")), things.env)
    assert command("run", "t", "--once").returncode == 0
    env = {**things.env, SQL: re.sub("Database=[^;]*", "Database=Other", things.env[SQL])}

    done = DStream(command.cwd, env)("run", "t", "--once")

    assert done.returncode == 5, done.stderr
    assert "[mssql.another_database]" in done.stderr


def test_a_start_position_is_refused_if_a_checkpoint_exists(things: Sandbox, dstream: Callable[..., DStream]) -> None:
    things.create_queue("from")
    command = dstream(task(output=OUTPUT.replace("things", "from")), things.env)
    assert command("run", "t", "--once").returncode == 0

    done = command("run", "t", "--from", "latest")

    assert done.returncode == 5, done.stderr
    assert "[state.exists]" in done.stderr


def test_a_line_over_max_line_is_refused_with_the_limit(things: Sandbox, dstream: Callable[..., DStream]) -> None:
    things.sql("CREATE TABLE dbo.Long (Id int NOT NULL PRIMARY KEY, A varchar(8000) NULL, B varchar(8000) NULL)")
    things.sql("EXEC sys.sp_cdc_enable_table @source_schema = 'dbo', @source_name = 'Long', @role_name = NULL")
    things.sql("INSERT INTO dbo.Long VALUES (1, REPLICATE('a', 8000), REPLICATE('b', 8000))")
    things.create_queue("long")
    hcl = task(INPUT.replace("Things", "Long"), OUTPUT.replace('"things"', '"long"'), "  max_line = 10000\n")
    command = dstream(hcl, things.env)

    done = command("run", "t", "--once")

    assert done.returncode == 1, done.stderr
    assert re.search(r"\[(mssql\.row_too_large|provider\.line_too_long)\]", done.stderr)
    assert "10,000" in done.stderr
    assert things.active_messages("long") == 0


SCRIPTS = {
    "prints prose": ("echo 'Starting up ..'; sleep 30", "provider.no_hello", 3, "Starting up"),
    "exits early": ("echo 'no licence' >&2; exit 7", "provider.died", 1, "no licence"),
    "is silent": ("sleep 30", "provider.not_ready", 1, "within 1 s"),
}


@pytest.mark.parametrize("what", SCRIPTS)
def test_a_provider_that_fails_to_start_is_named(things: Sandbox, dstream: Callable[..., DStream], what: str) -> None:
    script, code, exit_code, words = SCRIPTS[what]
    command = dstream(task('    provider_path = "./mine"\n    config {}', extra='  start_timeout = "1s"\n'), things.env)
    mine = command.cwd / "mine"
    mine.write_text(f"#!/bin/sh\n{script}\n")
    mine.chmod(mine.stat().st_mode | stat.S_IXUSR)

    done = command("run", "t", "--once")

    assert (done.returncode, f"[{code}]" in done.stderr) == (exit_code, True), done.stderr
    assert words in done.stderr
    assert "dstream.hcl:3" in done.stderr
    assert_nothing_delivered_or_stored(things, command)


def test_a_non_executable_provider_is_named_with_the_fix(things: Sandbox, dstream: Callable[..., DStream]) -> None:
    command = dstream(task('    provider_path = "./mine"\n    config {}'), things.env)
    (command.cwd / "mine").write_text("#!/bin/sh\n")

    done = command("run", "t")

    assert done.returncode == 3, done.stderr
    assert "[provider.not_executable]" in done.stderr
    assert "chmod +x" in done.stderr


def assert_nothing_delivered_or_stored(things: Sandbox, command: DStream) -> None:
    assert things.active_messages("things") == 0
    assert list(command.cwd.glob(".dstream/state/*/*.json")) == []


def test_a_second_run_of_a_task_is_refused(things: Sandbox, dstream: Callable[..., DStream]) -> None:
    things.create_queue("twice")
    command = dstream(task(output=OUTPUT.replace("things", "twice")), things.env)
    with command.running("run", "t") as first:
        first.says("run.started")

        done = command("run", "t", "--once")

        assert done.returncode == 4, done.stderr
        assert "[state.locked]" in done.stderr
        assert f"pid {first.process.pid}" in done.stderr

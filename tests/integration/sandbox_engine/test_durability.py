"""kill -9 at any time: acknowledged commits survive, change tables match the tables, LSNs never go back or repeat."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from dstream_sandbox.sqlserver.engine import open_engine

from tests.integration.sandbox_engine.client import connect

_WRITER = """
import sys
from pathlib import Path
from dstream_sandbox.sqlserver.engine import open_engine
from dstream_sandbox.sqlserver.session import Message
engine = open_engine(Path(sys.argv[1]), user="sa", password="secret")
session = engine.login("sa", "secret", "d", app="", host="")
number = int(sys.argv[2])
open_one = engine.login("sa", "secret", "d", app="", host="")
list(open_one.execute("BEGIN TRAN; CREATE TABLE never (id int); INSERT t VALUES (-1 - %d, 0)" % number))
while True:
    number += 1
    sql = f"BEGIN TRAN; INSERT t VALUES ({number}, {number}); UPDATE t SET v = v + 1 WHERE id = {number}; COMMIT"
    assert not [e for e in session.execute(sql) if isinstance(e, Message)]
    print(number, flush=True)
"""


def test_acknowledged_commits_survive_a_kill_and_lsns_increase(tmp_path: Path) -> None:
    engine = open_engine(tmp_path, user="sa", password="secret")
    connect(engine, "master").run("CREATE DATABASE d")
    client = connect(engine, "d")
    client.run(
        "EXEC sys.sp_cdc_enable_db; CREATE TABLE t (id int PRIMARY KEY, v int); EXEC sys.sp_cdc_enable_table 'dbo', 't', NULL"
    )
    engine.close()
    last_lsn, answered = b"", 0
    for _ in range(3):
        answered = _write_until_killed(tmp_path, answered)
        engine = open_engine(tmp_path, user="sa", password="secret")
        client = connect(engine, "d")
        rows = client.rows("SELECT id, v FROM t ORDER BY id")
        # One more transaction may have been committed before its answer was read.
        assert [r[0] for r in rows] in (list(range(1, answered + 1)), list(range(1, answered + 2)))
        answered = len(rows)
        assert all(v == i + 1 for i, v in rows)
        assert client.value("SELECT OBJECT_ID('never')") is None, "its transaction never committed"
        changes = client.rows(
            "SELECT [__$start_lsn], [__$operation], id FROM cdc.dbo_t_CT ORDER BY 1, [__$command_id], [__$seqval], 2"
        )
        assert [(op, i) for _, op, i in changes] == [(op, i) for i in range(1, answered + 1) for op in (2, 3, 4)]
        mapped = {r[0] for r in client.rows("SELECT start_lsn FROM cdc.lsn_time_mapping")}
        assert {r[0] for r in changes} <= mapped
        newest = client.value("SELECT sys.fn_cdc_get_max_lsn()")
        assert newest > last_lsn
        last_lsn = newest
        engine.close()


def _write_until_killed(folder: Path, number: int) -> int:
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(folder), str(number)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    answered = number
    deadline = time.monotonic() + 20
    while answered < number + 40 and time.monotonic() < deadline:
        answered = int(process.stdout.readline())
    process.kill()
    for line in process.stdout:
        if line.endswith("\n"):
            answered = int(line)
    process.wait()
    return answered


def test_databases_logins_and_definitions_survive_reopening(tmp_path: Path) -> None:
    engine = open_engine(tmp_path, user="sa", password="secret")
    connect(engine, "master").run("CREATE DATABASE d; CREATE LOGIN ada WITH PASSWORD = 'x'")
    client = connect(engine, "d")
    client.run("CREATE SCHEMA s")
    client.run(
        "CREATE TABLE s.t (id int IDENTITY(5, 5) PRIMARY KEY, n decimal(38,2) DEFAULT 1.5 CHECK (n > 0)); INSERT s.t DEFAULT VALUES"
    )
    client.run("CREATE VIEW s.v AS SELECT id FROM s.t")
    client.run("CREATE PROCEDURE s.p @a int AS SELECT @a + 1")
    client.run("CREATE USER ada FOR LOGIN ada; GRANT SELECT ON s.t TO ada; DELETE s.t")
    engine.close()
    engine = open_engine(tmp_path, user="sa", password="secret")
    ada = connect(engine, "d", "ada", "x")
    assert ada.rows("SELECT * FROM s.t") == []
    client = connect(engine, "d")
    client.run("INSERT s.t DEFAULT VALUES")
    assert client.rows("SELECT id FROM s.v") == [(10,)]
    assert client.value("EXEC s.p 4") == 5
    assert client.error("INSERT s.t (n) VALUES (-1)") == 547
    engine.close()

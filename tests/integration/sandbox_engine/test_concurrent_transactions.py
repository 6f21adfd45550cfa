"""Concurrent sessions: locks, isolation, deadlocks, savepoints."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.integration.sandbox_engine.client import Background, Client

Open = Callable[[], Client]


@pytest.fixture
def accounts(client: Client) -> Client:
    client.run("CREATE TABLE acc (id int PRIMARY KEY, amount int NOT NULL, note varchar(20))")
    client.run("INSERT INTO acc VALUES (1,100,'a'),(2,200,'b'),(3,300,'c')")
    return client


def blocked(client: Client, work: Background) -> None:
    """Wait until some session is waiting for a lock."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if client.value("SELECT count(*) FROM sys.dm_exec_requests WHERE blocking_session_id <> 0"):
            return
        assert work.is_running(), "the session did not wait"
    raise AssertionError("no session is waiting")


def test_of_two_sessions_with_open_writes_the_second_can_commit_first(accounts: Client, open_client: Open) -> None:
    first, second = open_client(), open_client()
    first.run("BEGIN TRAN; UPDATE acc SET amount = 1 WHERE id = 1")
    second.run("BEGIN TRAN; UPDATE acc SET amount = 2 WHERE id = 2; COMMIT")
    assert accounts.rows("SELECT id, amount FROM acc ORDER BY id") == [(1, 100), (2, 2), (3, 300)]
    first.run("COMMIT")
    assert accounts.rows("SELECT id, amount FROM acc ORDER BY id") == [(1, 1), (2, 2), (3, 300)]


def test_a_session_sees_committed_rows_and_its_own_changes(accounts: Client, open_client: Open) -> None:
    writer = open_client()
    writer.run(
        "BEGIN TRAN; DELETE FROM acc WHERE id = 1; INSERT INTO acc VALUES (4,400,'d'); UPDATE acc SET amount += 1"
    )
    assert writer.rows("SELECT id, amount FROM acc ORDER BY id") == [(2, 201), (3, 301), (4, 401)]
    assert accounts.rows("SELECT id, amount FROM acc ORDER BY id") == [(1, 100), (2, 200), (3, 300)]
    writer.run("ROLLBACK")
    assert writer.rows("SELECT id FROM acc ORDER BY id") == [(1,), (2,), (3,)]


def test_an_update_of_a_locked_row_waits_and_uses_the_new_value(accounts: Client, open_client: Open) -> None:
    first, second = open_client(), open_client()
    first.run("BEGIN TRAN; UPDATE acc SET amount = amount + 10 WHERE id = 1")
    work = Background(lambda: second.run("UPDATE acc SET amount = amount + 1 WHERE id = 1"))
    blocked(accounts, work)
    first.run("COMMIT")
    work.finish()
    assert accounts.value("SELECT amount FROM acc WHERE id = 1") == 111


def test_inserting_an_uncommitted_key_waits_and_then_fails(accounts: Client, open_client: Open) -> None:
    first, second = open_client(), open_client()
    first.run("BEGIN TRAN; INSERT INTO acc VALUES (9,1,'x')")
    work = Background(lambda: second.error("INSERT INTO acc VALUES (9,2,'y')"))
    blocked(accounts, work)
    first.run("COMMIT")
    assert work.finish() == 2627


def test_inserting_a_key_that_is_being_deleted_waits_for_the_outcome(accounts: Client, open_client: Open) -> None:
    first, second = open_client(), open_client()
    first.run("BEGIN TRAN; DELETE FROM acc WHERE id = 3")
    work = Background(lambda: second.run("INSERT INTO acc VALUES (3,1,'new')"))
    blocked(accounts, work)
    first.run("COMMIT")
    work.finish()
    assert accounts.rows("SELECT amount, note FROM acc WHERE id = 3") == [(1, "new")]


def test_a_deadlock_has_one_victim(accounts: Client, open_client: Open) -> None:
    first, second = open_client(), open_client()
    first.run("BEGIN TRAN; UPDATE acc SET amount = 1 WHERE id = 1")
    second.run("BEGIN TRAN; UPDATE acc SET amount = 2 WHERE id = 2")
    work = Background(lambda: first.answer("UPDATE acc SET amount = 1 WHERE id = 2"))
    blocked(accounts, work)
    assert second.error("UPDATE acc SET amount = 2 WHERE id = 1") == 1205
    assert second.value("SELECT @@TRANCOUNT") == 0
    assert work.finish().errors == []
    first.run("COMMIT")
    assert accounts.rows("SELECT amount FROM acc ORDER BY id") == [(1,), (1,), (300,)]


def test_a_lock_timeout_is_1222_and_the_transaction_continues(accounts: Client, open_client: Open) -> None:
    first, second = open_client(), open_client()
    first.run("BEGIN TRAN; UPDATE acc SET amount = 1 WHERE id = 1")
    second.run("SET LOCK_TIMEOUT 50; BEGIN TRAN; UPDATE acc SET amount = 5 WHERE id = 3")
    assert second.error("UPDATE acc SET amount = 2 WHERE id = 1") == 1222
    assert second.value("SELECT @@TRANCOUNT") == 1
    second.run("COMMIT")
    assert accounts.value("SELECT amount FROM acc WHERE id = 3") == 5
    first.run("ROLLBACK")


def test_a_shared_table_lock_waits_for_writers_and_blocks_new_ones(accounts: Client, open_client: Open) -> None:
    writer, fence, late = open_client(), open_client(), open_client()
    writer.run("BEGIN TRAN; UPDATE acc SET amount = 1 WHERE id = 1")
    work = Background(lambda: fence.run("BEGIN TRAN; SELECT 1 FROM acc WITH (TABLOCK, HOLDLOCK) WHERE 1 = 0"))
    blocked(accounts, work)
    late.run("SET LOCK_TIMEOUT 50")
    assert late.error("UPDATE acc SET amount = 2 WHERE id = 2") == 1222
    writer.run("COMMIT")
    work.finish()
    assert late.error("UPDATE acc SET amount = 2 WHERE id = 2") == 1222
    fence.run("ROLLBACK")
    late.run("UPDATE acc SET amount = 2 WHERE id = 2")


def test_without_row_versions_a_read_waits_for_the_commit(accounts: Client, open_client: Open) -> None:
    """Microsoft Learn, "Transaction locking and row versioning guide": READ_COMMITTED_SNAPSHOT OFF."""
    accounts.run("ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT OFF")
    writer, reader, versions = open_client(), open_client(), open_client()
    writer.run("BEGIN TRAN; UPDATE acc SET amount = 5 WHERE id = 1")
    versions.run("SET TRANSACTION ISOLATION LEVEL SNAPSHOT")
    assert versions.value("SELECT amount FROM acc WHERE id = 1") == 100
    work = Background(lambda: reader.value("SELECT amount FROM acc WHERE id = 1"))
    blocked(accounts, work)
    writer.run("COMMIT")
    assert work.finish() == 5
    writer.run("BEGIN TRAN; UPDATE acc SET amount = 6 WHERE id = 1; COMMIT")  # the read has released its lock


def test_a_snapshot_is_fixed_at_its_first_read(accounts: Client, open_client: Open) -> None:
    reader = open_client()
    reader.run("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN")
    accounts.run("UPDATE acc SET amount = 11 WHERE id = 1")
    assert reader.value("SELECT amount FROM acc WHERE id = 1") == 11
    accounts.run("UPDATE acc SET amount = 12 WHERE id = 1; INSERT INTO acc VALUES (7,7,'g')")
    assert reader.value("SELECT amount FROM acc WHERE id = 1") == 11
    assert reader.value("SELECT count(*) FROM acc") == 3
    reader.run("COMMIT")
    assert reader.value("SELECT count(*) FROM acc") == 4


def test_a_snapshot_cannot_update_rows_changed_since(accounts: Client, open_client: Open) -> None:
    reader = open_client()
    reader.run("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN; SELECT * FROM acc")
    accounts.run("UPDATE acc SET amount = 12 WHERE id = 1")
    reader.run("UPDATE acc SET amount = 0 WHERE id = 2")
    assert reader.error("UPDATE acc SET amount = 0 WHERE id = 1") == 3960
    assert accounts.rows("SELECT amount FROM acc ORDER BY id") == [(12,), (200,), (300,)]


def test_snapshot_isolation_must_be_allowed_in_the_database(client: Client, database: str) -> None:
    client.run(f"CREATE TABLE t (id int); ALTER DATABASE {database} SET ALLOW_SNAPSHOT_ISOLATION OFF")
    client.run("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN")
    assert client.error("SELECT * FROM t") == 3952


def test_rolling_back_to_a_savepoint_undoes_later_changes(accounts: Client) -> None:
    accounts.run("BEGIN TRAN; UPDATE acc SET amount = 1 WHERE id = 1; SAVE TRAN here")
    accounts.run("UPDATE acc SET amount = 2; DELETE FROM acc WHERE id = 2; INSERT INTO acc VALUES (5,5,'e')")
    accounts.run("ROLLBACK TRAN here")
    assert accounts.rows("SELECT id, amount FROM acc ORDER BY id") == [(1, 1), (2, 200), (3, 300)]
    accounts.run("COMMIT")
    assert accounts.rows("SELECT id, amount FROM acc ORDER BY id") == [(1, 1), (2, 200), (3, 300)]


def test_a_failed_statement_is_undone_and_the_transaction_continues(accounts: Client) -> None:
    accounts.run("BEGIN TRAN; UPDATE acc SET amount = 7 WHERE id = 1")
    assert accounts.error("INSERT INTO acc VALUES (10,1,'x'),(1,1,'dup')") == 2627
    assert accounts.value("SELECT @@TRANCOUNT") == 1
    accounts.run("COMMIT")
    assert accounts.rows("SELECT id, amount FROM acc ORDER BY id") == [(1, 7), (2, 200), (3, 300)]


def test_xact_abort_rolls_the_whole_transaction_back(accounts: Client) -> None:
    accounts.run("SET XACT_ABORT ON; BEGIN TRAN; UPDATE acc SET amount = 7 WHERE id = 1")
    assert accounts.error("INSERT INTO acc VALUES (1,1,'dup')") == 2627
    assert accounts.value("SELECT @@TRANCOUNT") == 0
    assert accounts.value("SELECT amount FROM acc WHERE id = 1") == 100


def test_repeatable_read_blocks_writers(accounts: Client, open_client: Open) -> None:
    reader = open_client()
    reader.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; BEGIN TRAN; SELECT * FROM acc")
    accounts.run("SET LOCK_TIMEOUT 50")
    assert accounts.error("UPDATE acc SET amount = 2 WHERE id = 2") == 1222
    reader.run("COMMIT")
    accounts.run("UPDATE acc SET amount = 2 WHERE id = 2")


def test_cancel_ends_a_wait_for_a_lock_without_an_error(accounts: Client, open_client: Open) -> None:
    first, second = open_client(), open_client()
    first.run("BEGIN TRAN; UPDATE acc SET amount = 1 WHERE id = 1")
    work = Background(lambda: second.answer("UPDATE acc SET amount = 2 WHERE id = 1"))
    blocked(accounts, work)
    second.session.cancel()
    assert work.finish().messages == []
    first.run("ROLLBACK")
    second.run("UPDATE acc SET amount = 3 WHERE id = 1")


def test_cancel_ends_a_running_query(client: Client) -> None:
    work = Background(lambda: client.answer("SELECT count(*) FROM generate_series(1, 100000000) a"))
    deadline = time.monotonic() + 5
    while work.is_running() and time.monotonic() < deadline:
        client.session.cancel()
    assert work.finish().messages == []
    assert client.value("SELECT 1") == 1


def test_concurrent_increments_lose_no_update(accounts: Client, open_client: Open) -> None:
    clients = [open_client() for _ in range(4)]

    def add(client: Client) -> None:
        for _ in range(25):
            client.run("UPDATE acc SET amount = amount + 1 WHERE id = 1")

    for work in [Background(lambda c=c: add(c)) for c in clients]:
        work.finish(30)
    assert accounts.value("SELECT amount FROM acc WHERE id = 1") == 200


def test_a_foreign_key_is_enforced_both_ways(client: Client) -> None:
    client.run("CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p(id))")
    client.run("INSERT INTO p VALUES (1),(2); INSERT INTO c VALUES (1,1),(2,NULL)")
    assert client.error("INSERT INTO c VALUES (3,9)") == 547
    assert client.error("DELETE FROM p WHERE id = 1") == 547
    client.run("DELETE FROM p WHERE id = 2")


def test_table_variables_keep_their_rows_when_a_transaction_rolls_back(client: Client) -> None:
    found = client.rows(
        "DECLARE @t TABLE (id int PRIMARY KEY, v int); BEGIN TRAN; INSERT INTO @t VALUES (1,1),(2,2); UPDATE @t SET v = 5 WHERE id = 2; "
        "ROLLBACK; SELECT id, v FROM @t ORDER BY id"
    )
    assert found == [(1, 1), (2, 5)]


def test_temporary_tables_are_per_session_and_transactional(client: Client, open_client: Open) -> None:
    client.run("CREATE TABLE #t (id int IDENTITY, v int); INSERT INTO #t (v) VALUES (1),(2)")
    client.run("BEGIN TRAN; DELETE FROM #t; ROLLBACK")
    assert client.rows("SELECT id, v FROM #t ORDER BY id") == [(1, 1), (2, 2)]
    assert open_client().error("SELECT * FROM #t") == 208


def test_an_insert_that_waited_for_alter_table_sees_the_new_column(accounts: Client, open_client: Open) -> None:
    first, second = open_client(), open_client()
    first.run("BEGIN TRAN; ALTER TABLE acc ADD rank int NOT NULL DEFAULT 7")
    work = Background(lambda: second.run("INSERT INTO acc (id, amount) VALUES (9, 9)"))
    blocked(accounts, work)
    first.run("COMMIT")
    work.finish()
    assert accounts.rows("SELECT id, rank FROM acc WHERE id IN (1, 9)") == [(1, 7), (9, 7)]

"""Capture instances that a task creates and drops itself (manage_capture_instances)."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest
from dstream_mssql_cdc.capture import keeper
from dstream_mssql_cdc.server.queries import SqlServer

from dstream.sdk import Finding, Stop
from dstream.sdk.errors import AuthError, ConfigError, DStreamError
from tests.integration.mssql_cdc.source_server import PASSWORD, Reading, SourceDatabase, provider, read, wait_until


def instances(database: SourceDatabase) -> list[str]:
    rows = database.rows("SELECT capture_instance FROM cdc.change_tables ORDER BY create_date, object_id")
    return [row[0] for row in rows]


def object_id(database: SourceDatabase, table: str) -> int:
    return int(database.rows("SELECT OBJECT_ID(?)", table)[0][0])


def managed(database: SourceDatabase, *tables: str, **settings: Any) -> dict[str, Any]:
    return database.config(*tables, manage_capture_instances=True, **settings)


def reported(reading: Reading, event: str) -> list[dict[str, Any]]:
    return [line for line in reading.telemetry if line.get("event") == event]


def snapshot_isolation(database: SourceDatabase) -> None:
    """Let the provider read in SNAPSHOT, in which capture cannot be enabled."""
    database.run("ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT OFF")
    database.run("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON")


def as_reader(database: SourceDatabase, config: dict[str, Any], *roles: str) -> dict[str, Any]:
    """The config with another login, a member of `roles`."""
    login = f"reader_{database.name}"
    database.run(f"CREATE LOGIN {login} WITH PASSWORD = '{PASSWORD}'")
    database.run(f"CREATE USER {login} FOR LOGIN {login}")
    database.run(f"GRANT SELECT ON SCHEMA::cdc TO {login}")
    database.run(f"GRANT VIEW DEFINITION ON SCHEMA::dbo TO {login}")
    for role in roles:
        database.run(f"ALTER ROLE {role} ADD MEMBER {login}")
    text = config["db_connection_string"].replace("UID=sa", f"UID={login}")
    return {**config, "db_connection_string": text}


def test_a_named_table_without_capture_is_captured_from_then_on(database: SourceDatabase) -> None:
    snapshot_isolation(database)
    database.run("CREATE TABLE dbo.A (Id int PRIMARY KEY)")
    database.run("CREATE TABLE dbo.B (Id int PRIMARY KEY)")
    database.run("INSERT INTO dbo.A VALUES (1)")
    config = as_reader(database, managed(database, "a", "dbo.*"), "db_owner")
    first = read(config)
    assert instances(database) == [f"dstream_{object_id(database, 'dbo.A')}_1"]
    (created,) = reported(first, "mssql.instance_created")
    assert created["instance"] == instances(database)[0]
    database.run("INSERT INTO dbo.A VALUES (2)")
    assert read(config, first.state).rows == [("Insert", {"Id": 2})]
    assert len(instances(database)) == 1


def test_new_columns_are_captured_and_old_instances_are_dropped_when_they_are_delivered(
    database: SourceDatabase,
) -> None:
    snapshot_isolation(database)
    database.run("CREATE TABLE dbo.A (Id int PRIMARY KEY, Secret int, Total AS Id * 2)")
    database.run(
        "EXEC sys.sp_cdc_enable_table @source_schema = 'dbo', @source_name = 'A', @role_name = N'gate', "
        "@captured_column_list = N'Id', @capture_instance = 'by_hand'"
    )
    own = [f"dstream_{object_id(database, 'dbo.A')}_{number}" for number in (1, 2, 3)]
    config = managed(database, "A")
    state: Mapping[str, Any] = read(config).state
    received: list[dict[str, Any]] = []

    def run() -> Reading:
        nonlocal state
        reading = read(config, state)
        state = reading.state
        received.extend(event["data"] for event in reading.events)
        return reading

    database.run("INSERT INTO dbo.A VALUES (1, 0)")
    database.run("ALTER TABLE dbo.A ADD Email varchar(20)")
    run()
    assert instances(database) == ["by_hand", own[0]]
    assert database.rows("SELECT role_name FROM cdc.change_tables WHERE capture_instance = ?", own[0])[0][0] == "gate"
    database.run("INSERT INTO dbo.A (Id, Email) VALUES (2, 'a@b')")
    database.run("ALTER TABLE dbo.A ADD [a, ]]b] int")
    (blocked,) = reported(run(), "mssql.column_not_captured")
    assert "@capture_instance = N'by_hand'" in blocked["hint"]
    assert instances(database) == ["by_hand", own[0]]
    database.run("EXEC sys.sp_cdc_disable_table 'dbo', 'A', 'by_hand'")
    database.run("INSERT INTO dbo.A (Id, Email) VALUES (3, 'a@c')")
    run()
    assert instances(database) == own[:2]
    database.run("INSERT INTO dbo.A (Id, Email, [a, ]]b]) VALUES (4, 'a@d', 7)")
    database.run("ALTER TABLE dbo.A ADD C int")
    run()  # The checkpoint that this run begins with is past the older one.
    assert instances(database) == own[1:2]
    run()
    assert instances(database) == own[1:]
    database.run("INSERT INTO dbo.A (Id, C) VALUES (5, 8)")
    run()
    assert received == [
        {"Id": 1},
        {"Id": 2, "Email": "a@b"},
        {"Id": 3, "Email": "a@c"},
        {"Id": 4, "Email": "a@d", "a, ]b": 7},
        {"Id": 5, "Email": None, "a, ]b": None, "C": 8},
    ]


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
def test_a_run_that_is_killed_at_a_step_is_continued_by_the_next(
    database: SourceDatabase, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    """`is_done`: whether it is killed after the procedure or before it."""
    database.run("CREATE TABLE dbo.A (Id int PRIMARY KEY)")
    config = managed(database, "A")
    run, kills = SqlServer.run, 0

    def killed(self: SqlServer, statement: str, *parameters: object) -> None:
        nonlocal kills
        if is_done or "sp_cdc" not in statement:
            run(self, statement, *parameters)
        if "sp_cdc" in statement:
            kills += 1
            raise KeyboardInterrupt

    def survive(state: Mapping[str, Any]) -> Reading:
        with monkeypatch.context() as patched:
            patched.setattr(SqlServer, "run", killed)
            with pytest.raises(KeyboardInterrupt):
                read(config, state)
        return read(config, state)

    state = survive({}).state
    database.run("ALTER TABLE dbo.A ADD B int")
    state = survive(state).state
    first, second = (f"dstream_{object_id(database, 'dbo.A')}_{number}" for number in (1, 2))
    assert instances(database) == [first, second]
    database.run("INSERT INTO dbo.A VALUES (1, 2)")
    assert survive(state).rows == [("Insert", {"Id": 1, "B": 2})]
    assert instances(database) == [second]
    assert kills == 3


def test_an_instance_is_kept_while_the_stored_checkpoint_needs_it(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.A (Id int PRIMARY KEY)")
    config = managed(database, "A")
    state = read(config).state
    database.run("INSERT INTO dbo.A VALUES (1)")
    database.run("ALTER TABLE dbo.A ADD B int")
    for _ in range(2):  # Nothing that these runs deliver is stored.
        read(config, state)
    database.run("INSERT INTO dbo.A VALUES (2, 5)")
    last = read(config, state)
    assert last.rows == [("Insert", {"Id": 1}), ("Insert", {"Id": 2, "B": 5})]
    assert len(instances(database)) == 2
    read(config, last.state)
    assert len(instances(database)) == 1


def test_two_tasks_that_create_the_same_instance_do_not_disturb_each_other(
    database: SourceDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other task creates it just before this one does."""
    database.run("CREATE TABLE dbo.A (Id int PRIMARY KEY)")
    run = SqlServer.run

    def second(self: SqlServer, statement: str, *parameters: object) -> None:
        if "sp_cdc" in statement:
            run(self, statement, *parameters)
        run(self, statement, *parameters)

    monkeypatch.setattr(SqlServer, "run", second)
    first = read(managed(database, "A"))
    database.run("ALTER TABLE dbo.A ADD B int")
    read(managed(database, "A"), first.state)
    assert len(instances(database)) == 2


def test_an_instance_is_kept_while_another_task_needs_it(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.A (Id int PRIMARY KEY)")
    config = managed(database, "A")
    behind = read(config).state
    database.run("ALTER TABLE dbo.A ADD B int")
    state = read(config, behind).state
    states: list[Mapping[str, Any]] = []

    def other_task(slow: Reading, stop: Stop) -> None:
        if not states:
            done = read(config, state)
            assert "mssql.instance_in_use" in done.told
            assert len(instances(database)) == 2
            states.append(done.state)

    read(config, behind, on_item=other_task)
    read(config, states[0])
    assert len(instances(database)) == 1


def test_a_login_that_does_not_own_the_database_is_refused_with_the_statement_that_helps(
    database: SourceDatabase,
) -> None:
    database.run("CREATE TABLE dbo.A (Id int PRIMARY KEY)")
    config = as_reader(database, managed(database, "A"))
    with pytest.raises(AuthError) as caught:
        read(config)
    assert caught.value.code == "mssql.not_owner"
    assert f"ALTER ROLE db_owner ADD MEMBER [reader_{database.name}];" in caught.value.hint
    assert [one.mark for one in findings(config, "capture instances")] == ["failure"]
    database.run(f"ALTER ROLE db_owner ADD MEMBER reader_{database.name}")
    (finding,) = findings(config, "capture instances")
    assert finding.mark == "ok"
    (table, _) = findings(config, "tables")
    assert table.mark == "ok"
    assert "dbo.A" in table.text
    assert instances(database) == []


def findings(config: dict[str, Any], subject: str) -> list[Finding]:
    one = provider(config, lambda line: None)
    try:
        return [finding for finding in one.doctor({}) if finding.subject == subject]
    finally:
        one.close()


def test_a_secondary_is_refused(database: SourceDatabase) -> None:
    with pytest.raises(ConfigError) as caught:
        read(managed(database, "A", read_only_intent=True))
    assert caught.value.code == "mssql.manage_capture_instances"


def test_a_look_at_the_rows_changes_nothing(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.A (Id int PRIMARY KEY)")
    with pytest.raises(DStreamError) as caught:
        read(managed(database, "A"), acks=False)
    assert caught.value.code == "mssql.table_not_captured"
    assert instances(database) == []


def test_instances_are_managed_while_a_run_lasts(database: SourceDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "INTERVAL_S", 0.05)
    database.run("CREATE TABLE dbo.A (Id int PRIMARY KEY)")
    config = managed(database, "A", poll_interval="10ms", max_poll_interval="10ms")
    stop, readings = Stop(), list[Reading]()

    def keep(reading: Reading, given: Stop) -> None:
        if stop.is_set():
            given.set()

    running = threading.Thread(target=lambda: readings.append(read(config, on_item=keep, once=False)))
    running.start()
    try:
        wait_until(lambda: instances(database), "the first instance")
        database.run("ALTER TABLE dbo.A ADD B int")
        wait_until(lambda: len(instances(database)) == 2, "the second instance")
        database.run("INSERT INTO dbo.A VALUES (1, 2)")
        wait_until(lambda: len(instances(database)) == 1, "the end of the first instance")
    finally:
        stop.set()
        database.run("INSERT INTO dbo.A VALUES (2, 3)")
        running.join()
    assert readings[0].rows[0] == ("Insert", {"Id": 1, "B": 2})
    assert instances(database) == [f"dstream_{object_id(database, 'dbo.A')}_2"]

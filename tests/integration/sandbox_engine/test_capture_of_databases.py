"""What enabling, disabling, restoring and other changes of a whole database do to its capture."""

from __future__ import annotations

from collections.abc import Callable

from dstream_sandbox.sqlserver.session import Engine

from tests.integration.sandbox_engine.capture import changes, enable
from tests.integration.sandbox_engine.client import Client, connect


def test_enabling_needs_an_enabled_database_and_a_known_table(client: Client) -> None:
    client.run("CREATE TABLE t (id int)")
    assert client.error("EXEC sys.sp_cdc_enable_table 'dbo', 't', NULL") == 22901
    client.run("EXEC sys.sp_cdc_enable_db")
    assert client.error("EXEC sys.sp_cdc_enable_table 'dbo', 'nope', NULL") == 22931
    assert client.error("EXEC sys.sp_cdc_enable_table 'dbo', 't', NULL, @supports_net_changes = 1") == 22939


def test_disabling_the_database_removes_the_cdc_schema(tracked: Client, database: str) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY)")
    enable(tracked, "t")
    tracked.run("EXEC sys.sp_cdc_disable_db")
    assert tracked.value(f"SELECT is_cdc_enabled FROM sys.databases WHERE name = '{database}'") is False
    assert tracked.error("SELECT * FROM cdc.change_tables") == 208
    tracked.run("EXEC sys.sp_cdc_enable_db")
    assert tracked.value("SELECT sys.fn_cdc_get_max_lsn()") is None
    enable(tracked, "t")
    tracked.run("INSERT t VALUES (1)")
    assert changes(tracked, "id") == [(2, 1)]


def test_a_restored_database_keeps_capture_and_writes_another_history(
    open_client: Callable[[], Client], engine: Engine, database: str
) -> None:
    """Microsoft Learn, "Restoring or attaching a database enabled for change data capture"."""
    client = open_client()
    client.run("EXEC sys.sp_cdc_enable_db; CREATE TABLE t (id int PRIMARY KEY)")
    enable(client, "t")
    client.run("INSERT t VALUES (1)")
    master = connect(engine, "master")
    master.run(f"BACKUP DATABASE {database} TO DISK = N'{database}.bak'")
    client.run("INSERT t VALUES (2)")
    mapping = "SELECT TOP 1 start_lsn, tran_id FROM cdc.lsn_time_mapping ORDER BY start_lsn DESC"
    lsn, tran = client.rows(mapping)[0]
    restore = f"RESTORE DATABASE {database} FROM DISK = N'{database}.bak' WITH KEEP_CDC, REPLACE"
    assert master.answer(restore).errors == [3101]
    client.close()
    master.run(restore)
    client = open_client()
    assert changes(client, "id") == [(2, 1)]
    client.run("INSERT t VALUES (3)")
    assert changes(client, "id") == [(2, 1), (2, 3)]
    again, other = client.rows(mapping)[0]
    assert again == lsn
    assert other != tran
    master.close()


def test_a_new_broker_changes_only_the_guid(tracked: Client, database: str) -> None:
    guid = "SELECT service_broker_guid FROM sys.databases WHERE name = DB_NAME()"
    before = tracked.value(guid)
    tracked.run(f"ALTER DATABASE {database} SET NEW_BROKER WITH ROLLBACK IMMEDIATE")
    assert tracked.value(guid) != before


def test_a_read_only_database_shows_it_and_refuses_changes(tracked: Client, database: str) -> None:
    shown = "SELECT CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS nvarchar(20))"
    tracked.run("CREATE TABLE t (id int PRIMARY KEY)")
    assert tracked.value(shown) == "READ_WRITE"
    tracked.run(f"ALTER DATABASE {database} SET READ_ONLY")
    assert tracked.value(shown) == "READ_ONLY"
    assert tracked.answer("INSERT t VALUES (1)").errors == [3906]
    tracked.run(f"ALTER DATABASE {database} SET READ_WRITE")
    tracked.run("INSERT t VALUES (1)")

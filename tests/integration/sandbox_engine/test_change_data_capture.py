"""What CDC records and returns. Rules: Microsoft Learn, "About change data capture" and the pages of its tables and functions."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dstream_sandbox.sqlserver.engine import open_engine
from dstream_sandbox.sqlserver.values import SqlType

from tests.integration.sandbox_engine.capture import KEY, changes, enable
from tests.integration.sandbox_engine.client import Client, connect

LSN = SqlType("binary", 10)
ZERO = bytes(10)


def test_operations_are_2_3_4_1_with_one_lsn_per_transaction(tracked: Client) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY, a varchar(10), b int)")
    enable(tracked, "t")
    tracked.run(
        "BEGIN TRAN; INSERT t VALUES (1,'x',1); UPDATE t SET a = 'y' WHERE id = 1; DELETE t WHERE id = 1; COMMIT"
    )
    assert changes(tracked, "id, a, b") == [(2, 1, "x", 1), (3, 1, "x", 1), (4, 1, "y", 1), (1, 1, "y", 1)]
    rows = tracked.rows(f"SELECT {KEY}, [__$end_lsn], [__$update_mask] FROM cdc.dbo_t_CT ORDER BY {KEY}")
    assert len({row[0] for row in rows}) == 1
    assert rows[1][2] == rows[2][2], "3 and 4 must share their seqval"
    assert [row[2] for row in rows] == sorted(row[2] for row in rows)
    assert [row[5] for row in rows] == [b"\x07", b"\x02", b"\x02", b"\x07"]
    assert all(row[4] is None for row in rows)
    names = [c.name for c in tracked.run("SELECT * FROM cdc.dbo_t_CT").columns[0]]
    assert names[:5] == ["__$start_lsn", "__$end_lsn", "__$seqval", "__$operation", "__$update_mask"]
    assert names[-1] == "__$command_id"


def test_the_lsn_mapping_has_the_transaction_and_ends_with_max_lsn(tracked: Client) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY)")
    enable(tracked, "t")
    tracked.run("INSERT t VALUES (1)")
    lsn, tran = tracked.rows("SELECT TOP 1 start_lsn, tran_id FROM cdc.lsn_time_mapping ORDER BY start_lsn DESC")[0]
    assert tran != b"\0"
    assert lsn == tracked.value("SELECT sys.fn_cdc_get_max_lsn()")
    assert lsn == tracked.value("SELECT [__$start_lsn] FROM cdc.dbo_t_CT")
    ended = tracked.value("SELECT tran_end_time FROM cdc.lsn_time_mapping WHERE start_lsn = @l", ("@l", LSN, lsn))
    assert tracked.value("SELECT sys.fn_cdc_map_lsn_to_time(@l)", ("@l", LSN, lsn)) == ended
    assert lsn == tracked.value("SELECT sys.fn_cdc_map_time_to_lsn('largest less than or equal', sysdatetime())")
    assert tracked.value("SELECT sys.fn_cdc_map_time_to_lsn('smallest greater than', '2999-01-01')") is None


def test_untracked_tables_and_rolled_back_work_leave_no_trace(tracked: Client) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int)")
    enable(tracked, "t")
    before = tracked.value("SELECT sys.fn_cdc_get_max_lsn()")
    tracked.run("INSERT u VALUES (1); BEGIN TRAN; INSERT t VALUES (1); ROLLBACK")
    assert tracked.answer("BEGIN TRAN; INSERT t VALUES (5); INSERT t VALUES (5); COMMIT").errors == [2627]
    assert changes(tracked, "id") == [(2, 5)]
    assert tracked.value("SELECT count(*) FROM cdc.lsn_time_mapping WHERE start_lsn > @l", ("@l", LSN, before)) == 1


def test_commit_order_sets_start_lsn_and_write_order_sets_seqval(
    tracked: Client, open_client: Callable[[], Client]
) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY)")
    enable(tracked, "t")
    first, second = open_client(), open_client()
    first.run("BEGIN TRAN; INSERT t VALUES (1)")
    second.run("BEGIN TRAN; INSERT t VALUES (2); COMMIT")
    first.run("COMMIT")
    assert [i for _, i in changes(tracked, "id")] == [2, 1]
    by_write = tracked.rows("SELECT id FROM cdc.dbo_t_CT ORDER BY [__$seqval]")
    assert by_write == [(1,), (2,)]


def test_tables_in_one_transaction_share_the_lsn_and_order_by_command(tracked: Client) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)")
    enable(tracked, "t")
    enable(tracked, "u")
    tracked.run("BEGIN TRAN; INSERT t VALUES (1); INSERT u VALUES (2); INSERT t VALUES (3); COMMIT")
    rows = tracked.rows(
        f"SELECT {KEY}, id FROM (SELECT {KEY}, id FROM cdc.dbo_t_CT UNION ALL SELECT {KEY}, id FROM cdc.dbo_u_CT) x ORDER BY 1, 2, 3, 4"
    )
    assert len({r[0] for r in rows}) == 1
    assert [r[4] for r in rows] == [1, 2, 3]


def test_a_changed_key_is_a_delete_and_an_insert_with_one_seqval(tracked: Client) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY, a int); INSERT t VALUES (1, 5)")
    enable(tracked, "t")
    tracked.run("UPDATE t SET id = 2, a = 6 WHERE id = 1")
    assert changes(tracked, "id, a") == [(1, 1, 5), (2, 2, 6)]
    (delete, insert) = tracked.rows(f"SELECT {KEY} FROM cdc.dbo_t_CT ORDER BY {KEY}")
    assert delete[2] == insert[2]
    assert delete[1] < insert[1]


def test_many_changed_keys_are_deleted_before_they_are_inserted(tracked: Client) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY); INSERT t VALUES (1),(2),(3)")
    enable(tracked, "t")
    tracked.run("UPDATE t SET id = id + 1")
    rows = changes(tracked, "id, [__$seqval]")
    assert [r[:2] for r in rows] == [(1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (2, 4)]
    assert len({r[2] for r in rows}) == 6


def test_an_update_that_changes_no_captured_column_records_nothing(tracked: Client) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY, a int, b int); INSERT t VALUES (1, 1, 1)")
    enable(tracked, "t", extra=", @captured_column_list = N'id, a'")
    tracked.run("UPDATE t SET b = 2; UPDATE t SET a = 1")
    assert changes(tracked, "id, a") == []
    tracked.run("UPDATE t SET a = 3, b = 3")
    assert changes(tracked, "id, a") == [(3, 1, 1), (4, 1, 3)]


def test_the_mask_counts_columns_from_the_lowest_bit_of_the_last_byte(tracked: Client) -> None:
    columns = ", ".join(f"c{i} int" for i in range(1, 70))
    tracked.run(f"CREATE TABLE t (id int PRIMARY KEY, {columns}); INSERT t (id) VALUES (1)")
    enable(tracked, "t")
    tracked.run("UPDATE t SET c1 = 1, c69 = 1")
    mask = tracked.value("SELECT TOP 1 [__$update_mask] FROM cdc.dbo_t_CT")
    assert len(mask) == 9
    assert int.from_bytes(mask, "big") == 1 << 1 | 1 << 69
    assert tracked.rows("SELECT sys.fn_cdc_is_bit_set(2, @m), sys.fn_cdc_is_bit_set(1, @m), sys.fn_cdc_is_bit_set(70, @m)",
                        ("@m", SqlType("varbinary", 128), mask)) == [(True, False, True)]  # fmt: skip
    assert (
        tracked.value("SELECT TOP 1 sys.fn_cdc_has_column_changed('dbo_t', 'c69', [__$update_mask]) FROM cdc.dbo_t_CT")
        is True
    )


def test_unchanged_large_values_are_null(tracked: Client) -> None:
    tracked.run(
        "CREATE TABLE t (id int PRIMARY KEY, n int, big nvarchar(max), old text); INSERT t VALUES (1, 1, N'long', 'legacy')"
    )
    enable(tracked, "t")
    tracked.run("UPDATE t SET n = 2; UPDATE t SET big = N'new'; DELETE t")
    assert changes(tracked, "n, big, old") == [
        (3, 1, None, None), (4, 2, None, None), (3, 2, "long", None), (4, 2, "new", None), (1, 2, "new", None),
    ]  # fmt: skip
    assert (
        tracked.value("SELECT TOP 1 sys.fn_cdc_has_column_changed('dbo_t','big',[__$update_mask]) FROM cdc.dbo_t_CT")
        is False
    )


def test_computed_columns_are_null_in_the_change_table(tracked: Client) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY, a int, twice AS a * 2); INSERT t VALUES (1, 4)")
    enable(tracked, "t")
    tracked.run("UPDATE t SET a = 5")
    assert tracked.rows("SELECT twice FROM t") == [(10,)]
    assert changes(tracked, "a, twice") == [(3, 4, None), (4, 5, None)]


def test_all_changes_omits_before_images_unless_requested(tracked: Client) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY, a int); INSERT t VALUES (1, 1)")
    enable(tracked, "t")
    tracked.run("UPDATE t SET a = 2")
    query = "SELECT [__$operation], a FROM cdc.fn_cdc_get_all_changes_dbo_t(sys.fn_cdc_get_min_lsn('dbo_t'), sys.fn_cdc_get_max_lsn(), N'{}')"
    assert tracked.rows(query.format("all")) == [(4, 2)]
    assert tracked.rows(query.format("all update old")) == [(3, 1), (4, 2)]
    assert tracked.error(query.format("everything")) == 313


def test_a_range_outside_the_captured_one_is_error_313(tracked: Client) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY)")
    enable(tracked, "t")
    query = "SELECT * FROM cdc.fn_cdc_get_all_changes_dbo_t({}, {}, N'all')"
    low, high = "sys.fn_cdc_get_min_lsn('dbo_t')", "sys.fn_cdc_get_max_lsn()"
    assert tracked.rows(query.format(low, high)) == []
    assert tracked.error(query.format(f"sys.fn_cdc_decrement_lsn({low})", high)) == 313
    assert tracked.error(query.format(low, f"sys.fn_cdc_increment_lsn({high})")) == 313
    assert tracked.error(query.format(f"sys.fn_cdc_increment_lsn({high})", high)) == 313
    assert tracked.error(query.format("NULL", high)) == 313
    assert "..." in tracked.answer(query.format("NULL", high)).messages[0].text


def test_net_changes_return_one_row_per_key(tracked: Client) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY, a int, b int); INSERT t VALUES (1,1,1),(2,2,2)")
    enable(tracked, "t", net=1)
    tracked.run(
        "INSERT t VALUES (3,3,3); UPDATE t SET a = 9 WHERE id = 1; UPDATE t SET b = 9 WHERE id = 1; DELETE t WHERE id = 2"
    )
    tracked.run("INSERT t VALUES (4,4,4); DELETE t WHERE id = 4; UPDATE t SET a = 30 WHERE id = 3")
    query = (
        "SELECT [__$operation], [__$update_mask], id, a, b FROM "
        "cdc.fn_cdc_get_net_changes_dbo_t(sys.fn_cdc_get_min_lsn('dbo_t'), sys.fn_cdc_get_max_lsn(), N'{}') ORDER BY id"
    )
    assert tracked.rows(query.format("all")) == [(4, None, 1, 9, 9), (1, None, 2, 2, 2), (2, None, 3, 30, 3)]
    assert tracked.rows(query.format("all with mask"))[0] == (4, b"\x06", 1, 9, 9)
    assert [r[0] for r in tracked.rows(query.format("all with merge"))] == [5, 1, 5]


def test_min_lsn_is_zero_for_an_unknown_instance(tracked: Client) -> None:
    assert tracked.value("SELECT sys.fn_cdc_get_min_lsn('nothing')") == ZERO


def test_a_table_has_at_most_two_instances_each_with_its_own_start(tracked: Client) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY)")
    enable(tracked, "t")
    tracked.run("INSERT t VALUES (1); ALTER TABLE t ADD extra int NULL")
    enable(tracked, "t", instance="second")
    tracked.run("INSERT t VALUES (2, 7)")
    assert changes(tracked, "id") == [(2, 1), (2, 2)]
    assert changes(tracked, "id, extra", "second") == [(2, 2, 7)]
    start = tracked.value("SELECT start_lsn FROM cdc.change_tables WHERE capture_instance = 'second'")
    assert start <= tracked.value("SELECT [__$start_lsn] FROM cdc.second_CT")
    assert tracked.error("EXEC sys.sp_cdc_enable_table 'dbo', 't', NULL, 'third'") == 22962
    assert tracked.error("EXEC sys.sp_cdc_enable_table 'dbo', 't', NULL") == 22926
    tracked.run("EXEC sys.sp_cdc_disable_table 'dbo', 't', 'dbo_t'")
    assert tracked.error("SELECT * FROM cdc.dbo_t_CT") == 208
    assert tracked.value("SELECT is_tracked_by_cdc FROM sys.tables WHERE name = 't'") is True


def test_the_catalog_describes_instances_columns_and_keys(tracked: Client) -> None:
    tracked.run("CREATE TABLE t (id int, b varchar(5), d decimal(10,2), CONSTRAINT pk_t PRIMARY KEY (id, b))")
    enable(tracked, "t", net=1, extra=", @captured_column_list = N'[id],b,d'")
    ct, source, name, start, net = tracked.rows(
        "SELECT object_id, source_object_id, capture_instance, start_lsn, supports_net_changes FROM cdc.change_tables"
    )[0]
    assert ct == tracked.value("SELECT OBJECT_ID('cdc.dbo_t_CT')")
    assert source == tracked.value("SELECT OBJECT_ID('dbo.t')")
    assert (name, net) == ("dbo_t", True)
    assert start == tracked.value("SELECT sys.fn_cdc_get_min_lsn('dbo_t')")
    assert tracked.rows("SELECT column_name, column_type, column_ordinal FROM cdc.captured_columns ORDER BY 3") == [
        ("id", "int", 1), ("b", "varchar", 2), ("d", "decimal", 3),
    ]  # fmt: skip
    assert tracked.rows("SELECT column_name, index_ordinal FROM cdc.index_columns ORDER BY 2") == [("id", 1), ("b", 2)]
    row = tracked.rows("EXEC sys.sp_cdc_help_change_data_capture")[0]
    assert row[:3] == ("dbo", "t", "dbo_t")
    assert row[13:] == ("[id], [b]", "[id], [b], [d]")
    index = tracked.rows(
        "SELECT i.type_desc, i.is_unique, c.name FROM sys.indexes i JOIN sys.index_columns k ON k.object_id = i.object_id AND "
        "k.index_id = i.index_id JOIN sys.columns c ON c.object_id = i.object_id AND c.column_id = k.column_id "
        "WHERE i.object_id = OBJECT_ID('cdc.dbo_t_CT') ORDER BY k.key_ordinal"
    )
    assert index == [("CLUSTERED", True, n) for n in ("__$start_lsn", "__$command_id", "__$seqval", "__$operation")]


def test_definition_changes_update_the_history_and_the_change_table(tracked: Client) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY, a int, gone int); INSERT t VALUES (1, 5, 6)")
    enable(tracked, "t")
    tracked.run(
        "UPDATE t SET a = 6; ALTER TABLE t ALTER COLUMN a bigint; ALTER TABLE t DROP COLUMN gone; UPDATE t SET a = 10000000000"
    )
    assert changes(tracked, "a, gone") == [(3, 5, 6), (4, 6, 6), (3, 6, None), (4, 10000000000, None)]
    assert tracked.type_of("a FROM cdc.dbo_t_CT").name == "bigint"
    assert tracked.rows("SELECT required_column_update FROM cdc.ddl_history ORDER BY ddl_lsn") == [(True,), (False,)]


def test_capture_cannot_be_enabled_in_snapshot_isolation(tracked: Client) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY); ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON")
    tracked.run("SET TRANSACTION ISOLATION LEVEL SNAPSHOT")
    procedure = "sys.sp_cdc_enable_table @source_schema = 'dbo', @source_name = 't', @role_name = NULL"
    assert tracked.error(f"EXEC {procedure}") == 3964
    tracked.run(f"SET TRANSACTION ISOLATION LEVEL READ COMMITTED; EXEC {procedure}")


def test_truncate_is_refused_and_drop_removes_the_instance(tracked: Client) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY)")
    enable(tracked, "t")
    assert tracked.error("TRUNCATE TABLE t") == 4711
    tracked.run("DROP TABLE t")
    assert tracked.error("SELECT * FROM cdc.dbo_t_CT") == 208
    assert tracked.value("SELECT count(*) FROM cdc.change_tables") == 0


def test_cleanup_raises_the_low_watermark_and_deletes_below_it(tracked: Client) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY)")
    enable(tracked, "t")
    tracked.run("INSERT t VALUES (1); INSERT t VALUES (2); INSERT t VALUES (3)")
    second = tracked.value("SELECT [__$start_lsn] FROM cdc.dbo_t_CT WHERE id = 2")
    tracked.run("EXEC sys.sp_cdc_cleanup_change_table N'dbo_t', @l", ("@l", LSN, second))
    assert tracked.value("SELECT sys.fn_cdc_get_min_lsn('dbo_t')") == second
    assert [i for _, i in changes(tracked, "id")] == [2, 3]
    assert tracked.value("SELECT min(start_lsn) FROM cdc.lsn_time_mapping") == second
    unknown = tracked.value("SELECT sys.fn_cdc_increment_lsn(@l)", ("@l", LSN, second))
    assert tracked.answer(f"EXEC sys.sp_cdc_cleanup_change_table N'dbo_t', 0x{unknown.hex()}").errors == [22964]


def test_a_stopped_capture_job_freezes_max_lsn_and_loses_nothing(tracked: Client) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY)")
    enable(tracked, "t")
    tracked.run("INSERT t VALUES (1); EXEC sys.sp_cdc_stop_job N'capture'")
    frozen = tracked.value("SELECT sys.fn_cdc_get_max_lsn()")
    tracked.run("INSERT t VALUES (2)")
    assert tracked.value("SELECT sys.fn_cdc_get_max_lsn()") == frozen
    assert changes(tracked, "id") == [(2, 1)]
    assert tracked.value("SELECT status_desc FROM sys.dm_server_services WHERE servicename LIKE '%Agent%'") == "Stopped"
    tracked.run("EXEC sys.sp_cdc_start_job N'capture'")
    assert changes(tracked, "id") == [(2, 1), (2, 2)]
    assert tracked.value("SELECT sys.fn_cdc_get_max_lsn()") > frozen


def test_a_capture_delay_delays_changes_together_with_their_mapping(tmp_path: Path) -> None:
    engine = open_engine(tmp_path, user="sa", password="secret", capture_delay_s=0.3)
    try:
        master = connect(engine, "master")
        master.run("CREATE DATABASE d")
        client = connect(engine, "d")
        client.run("EXEC sys.sp_cdc_enable_db; CREATE TABLE t (id int PRIMARY KEY)")
        enable(client, "t")
        client.run("INSERT t VALUES (1)")
        began = time.monotonic()
        assert changes(client, "id") == []
        while not changes(client, "id"):
            assert time.monotonic() - began < 60
        assert time.monotonic() - began > 0.2
        assert client.value("SELECT sys.fn_cdc_get_max_lsn()") >= client.value(
            "SELECT [__$start_lsn] FROM cdc.dbo_t_CT"
        )
    finally:
        engine.close()


def test_a_reader_without_permissions_gets_zero_and_229(tracked: Client, engine: Any, database: str) -> None:
    tracked.run(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE LOGIN reader WITH PASSWORD = 'p@ss'; CREATE USER reader FOR LOGIN reader"
    )
    tracked.run("EXEC sys.sp_cdc_enable_table 'dbo', 't', @role_name = N'gate'; INSERT t VALUES (1)")
    reader = connect(engine, database, "reader", "p@ss")
    assert reader.error("SELECT * FROM t") == 229
    assert reader.error("SELECT * FROM cdc.dbo_t_CT") == 229
    assert reader.value("SELECT sys.fn_cdc_get_min_lsn('dbo_t')") == ZERO
    assert reader.value("SELECT HAS_PERMS_BY_NAME('cdc.[dbo_t_CT]', 'OBJECT', 'SELECT')") == 0
    tracked.run("GRANT SELECT ON SCHEMA::dbo TO reader; GRANT SELECT ON SCHEMA::cdc TO reader")
    assert reader.value("SELECT sys.fn_cdc_get_min_lsn('dbo_t')") == ZERO, "still outside the gating role"
    tracked.run("ALTER ROLE gate ADD MEMBER reader")
    assert reader.value("SELECT sys.fn_cdc_get_min_lsn('dbo_t')") != ZERO
    assert reader.rows("SELECT id FROM cdc.dbo_t_CT") == [(1,)]
    assert reader.error("EXEC sys.sp_cdc_disable_table 'dbo', 't', 'all'") == 22904
    reader.close()


def test_a_fence_gives_an_lsn_that_separates_snapshot_and_stream(
    tracked: Client, open_client: Callable[[], Client]
) -> None:
    """A handover as in MaterializeInc/materialize#32979: a shared table lock, a pinned snapshot, a savepoint's LSN."""
    tracked.run("CREATE TABLE t (id int PRIMARY KEY)")
    enable(tracked, "t")
    tracked.run("INSERT t VALUES (1)")
    fence, snapshot = open_client(), open_client()
    fence.run("BEGIN TRAN; SELECT 1 FROM dbo.t WITH (TABLOCK, HOLDLOCK) WHERE 1 = 0")
    snapshot.run(
        "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN; SELECT TOP 1 object_id FROM cdc.change_tables; SAVE TRANSACTION mark"
    )
    fence.run("ROLLBACK")
    tracked.run("INSERT t VALUES (2)")
    number = snapshot.value(
        "SELECT dt.database_transaction_most_recent_savepoint_lsn FROM sys.dm_tran_database_transactions dt JOIN "
        "sys.dm_tran_current_transaction ct ON ct.transaction_id = dt.transaction_id "
        "WHERE dt.database_transaction_most_recent_savepoint_lsn IS NOT NULL"
    )
    assert snapshot.rows("SELECT id FROM t") == [(1,)]
    vlf, rest = divmod(int(number), 10**15)
    lsn = vlf.to_bytes(4, "big") + (rest // 10**5).to_bytes(4, "big") + (rest % 10**5).to_bytes(2, "big")
    assert [
        i
        for _, i in tracked.rows(
            "SELECT [__$start_lsn], id FROM cdc.dbo_t_CT WHERE [__$start_lsn] > @l", ("@l", LSN, lsn)
        )
    ] == [2]


def test_merge_records_each_of_its_actions(tracked: Client) -> None:
    tracked.run("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT t VALUES (1, 1), (2, 2)")
    enable(tracked, "t")
    tracked.run(
        "MERGE t AS d USING (VALUES (1, 10), (3, 30)) AS s(id, v) ON d.id = s.id WHEN MATCHED THEN UPDATE SET v = s.v "
        "WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.v) WHEN NOT MATCHED BY SOURCE THEN DELETE;"
    )
    assert tracked.rows("SELECT id, v FROM t ORDER BY id") == [(1, 10), (3, 30)]
    assert sorted(changes(tracked, "id, v")) == [(1, 2, 2), (2, 3, 30), (3, 1, 1), (4, 1, 10)]

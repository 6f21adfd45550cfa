"""Batches: control flow, errors and their scope, procedures, dynamic SQL."""

from __future__ import annotations

import pytest
from dstream_sandbox.sqlserver.session import Engine, Param
from dstream_sandbox.sqlserver.values import SqlType

from tests.integration.sandbox_engine.client import Client, collect, connect

INT = SqlType("int")


def test_variables_loops_and_branches(client: Client) -> None:
    sql = """
    DECLARE @i int = 0, @s nvarchar(50) = N'';
    WHILE @i < 10
    BEGIN
        SET @i += 1;
        IF @i = 3 CONTINUE;
        IF @i > 5 BREAK;
        SET @s = @s + CAST(@i AS nvarchar(10));
    END
    SELECT @i, @s;
    """
    assert client.rows(sql) == [(6, "1245")]


def test_select_into_variables_takes_the_last_row_or_accumulates(client: Client) -> None:
    client.run("CREATE TABLE t (id int PRIMARY KEY, n varchar(5)); INSERT t VALUES (1,'a'),(2,'b'),(3,'c')")
    assert client.rows(
        "DECLARE @x int, @s varchar(50) = ''; SELECT @x = id FROM t ORDER BY id; SELECT @s = @s + n FROM t; SELECT @x, @s"
    ) == [(3, "abc")]
    assert client.value("DECLARE @x int = 7; SELECT @x = id FROM t WHERE 1 = 0; SELECT @x") == 7


def test_catch_can_read_the_error(client: Client) -> None:
    sql = """BEGIN TRY
      SELECT 1/0
    END TRY BEGIN CATCH
      SELECT ERROR_NUMBER(), ERROR_MESSAGE(), ERROR_LINE(), ERROR_SEVERITY()
    END CATCH
    SELECT ERROR_NUMBER()"""
    results = client.run(sql).results
    assert results[-2:] == [[(8134, "Divide by zero error encountered.", 2, 16)], [(None,)]]


def test_throw_inside_catch_raises_the_same_error_and_ends_the_batch(client: Client) -> None:
    answer = client.answer("BEGIN TRY THROW 50001, 'mine', 3 END TRY BEGIN CATCH THROW END CATCH SELECT 'after'")
    assert [(m.number, m.text, m.state) for m in answer.messages] == [(50001, "mine", 3)]
    assert answer.results == []


def test_raiserror_formats_its_message_and_the_batch_continues(client: Client) -> None:
    answer = client.answer("RAISERROR('%s has %d', 16, 2, N'it', 5); SELECT 'after'")
    assert [(m.number, m.text, m.state) for m in answer.messages] == [(50000, "it has 5", 2)]
    assert answer.results == [[("after",)]]
    assert client.answer("RAISERROR('info', 10, 1)").errors == []


def test_print_is_an_information_message(client: Client) -> None:
    (message,) = client.run("PRINT 'hello ' + CAST(3 AS varchar)").messages
    assert (message.number, message.severity, message.text) == (0, 0, "hello 3")


def test_a_conversion_error_ends_the_batch_and_a_constraint_error_does_not(client: Client) -> None:
    client.run("CREATE TABLE t (id int NOT NULL)")
    answer = client.answer("INSERT t VALUES (NULL); SELECT 'on'; SELECT CAST('x' AS int); SELECT 'never'")
    assert answer.errors == [515, 245]
    assert answer.results[0] == [("on",)]
    assert len(answer.results) == 2


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("SELECT * FROM nowhere", 208),
        ("SELECT nothing FROM sys.databases", 207),
        ("SELECT x.name FROM sys.databases", 4104),
        ("SELECT 1 +", 102),
        ("SELECT FROM", 156),
        ("EXEC nothing", 2812),
        ("SELECT 1/0", 8134),
        ("SELECT 'open", 105),
        ("SELECT @undeclared", 137),
        ("SELECT nosuch(1)", 195),
        ("SELECT dbo.nosuch(1)", 4121),
        ("SELECT (SELECT database_id FROM sys.databases)", 512),
        ("SELECT name, count(*) FROM sys.databases", 8120),
        ("SELECT 1 WHERE 1", 4145),
        ("SELECT 1 UNION SELECT 1, 2", 205),
        ("COMMIT", 3902),
        ("ROLLBACK", 3903),
        ("USE nowhere", 911),
        ("SELECT * FROM sys.databases FOR XML AUTO", 40515),
        ("SELECT CAST(1 AS nothing)", 243),
        ("SELECT d.name FROM sys.databases d, sys.databases d2 WHERE name = 'x'", 209),
        ("DROP TABLE nowhere", 3701),
        ("WITH c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c", 530),
    ],
)
def test_errors_have_sql_servers_numbers(client: Client, sql: str, number: int) -> None:
    assert client.error(sql) == number


def test_a_procedure_has_parameters_defaults_outputs_and_a_return_value(client: Client) -> None:
    client.run(
        "CREATE PROCEDURE dbo.p @a int, @b int = 5, @sum int OUTPUT AS BEGIN SET NOCOUNT ON; SET @sum = @a + @b; SELECT @sum AS s; RETURN 7 END"
    )
    sql = "DECLARE @r int, @s int; EXEC @r = dbo.p @a = 1, @sum = @s OUTPUT; SELECT @r, @s"
    assert client.rows(sql) == [(7, 6)]
    answer = collect(
        client.session.call(
            "dbo.p", [Param("@a", INT, 2), Param("@b", INT, 3), Param("@sum", INT, None, is_output=True)]
        )
    )
    assert answer.outputs == {"@sum": 5}
    assert client.error("EXEC dbo.p") == 201
    assert client.error("EXEC dbo.p 1, 2, 3, 4") == 8144
    assert client.error("EXEC dbo.p @nope = 1") == 8145


def test_sp_executesql_takes_parameters_and_returns_outputs(client: Client) -> None:
    sql = "DECLARE @o int; EXEC sp_executesql N'SET @x = @y * 2', N'@x int OUTPUT, @y int', @x = @o OUTPUT, @y = 21; SELECT @o"
    assert client.value(sql) == 42
    assert client.value("EXEC ('SELECT ' + '4')") == 4


def test_insert_exec_stores_a_procedures_rows(client: Client) -> None:
    client.run("CREATE PROCEDURE p AS SELECT 1, N'a' UNION ALL SELECT 2, N'b'")
    client.run("CREATE TABLE t (id int, n nvarchar(5)); INSERT INTO t EXEC p")
    assert client.rows("SELECT id, n FROM t ORDER BY id") == [(1, "a"), (2, "b")]


def test_row_counts_identity_and_trancount_are_correct_and_typed(client: Client) -> None:
    client.run("CREATE TABLE t (id int IDENTITY(10, 2), v int)")
    assert client.rows("INSERT t (v) VALUES (1),(2); SELECT @@ROWCOUNT, SCOPE_IDENTITY(), @@IDENTITY")[0] == (2, 12, 12)
    assert client.type_of("@@TRANCOUNT") == INT
    assert client.rows("BEGIN TRAN; BEGIN TRAN; SELECT @@TRANCOUNT; COMMIT; COMMIT; SELECT @@TRANCOUNT") == [(0,)]
    assert client.run("UPDATE t SET v = 9").counts == [2]
    assert client.run("SET NOCOUNT ON; UPDATE t SET v = 9").counts == [None]


def test_identity_insert_allows_explicit_values_and_advances_identity(client: Client) -> None:
    client.run("CREATE TABLE t (id int IDENTITY, v int)")
    assert client.error("INSERT t (id, v) VALUES (5, 1)") == 544
    client.run(
        "SET IDENTITY_INSERT t ON; INSERT t (id, v) VALUES (50, 1); SET IDENTITY_INSERT t OFF; INSERT t (v) VALUES (2)"
    )
    assert client.rows("SELECT id FROM t ORDER BY id") == [(50,), (51,)]


def test_implicit_transactions_begin_automatically(client: Client) -> None:
    client.run("CREATE TABLE t (id int); SET IMPLICIT_TRANSACTIONS ON; INSERT t VALUES (1)")
    assert client.value("SELECT @@TRANCOUNT") == 1
    client.run("ROLLBACK; SET IMPLICIT_TRANSACTIONS OFF")
    assert client.value("SELECT count(*) FROM t") == 0


def test_output_clauses_return_both_images(client: Client) -> None:
    client.run("CREATE TABLE t (id int IDENTITY, v int); CREATE TABLE log (id int, old int, new int)")
    assert client.rows("INSERT t (v) OUTPUT inserted.id, inserted.v VALUES (1), (2)") == [(1, 1), (2, 2)]
    assert client.rows("UPDATE t SET v = v * 10 OUTPUT deleted.v, inserted.v WHERE id = 2") == [(2, 20)]
    client.run("DELETE t OUTPUT deleted.id, deleted.v, NULL INTO log WHERE id = 1")
    assert client.rows("SELECT * FROM log") == [(1, 1, None)]


def test_update_and_delete_through_a_join(client: Client) -> None:
    client.run(
        "CREATE TABLE a (id int PRIMARY KEY, v int); CREATE TABLE b (id int, v int); INSERT a VALUES (1,1),(2,2),(3,3); INSERT b VALUES (1,10),(2,20)"
    )
    client.run("UPDATE x SET v = y.v FROM a AS x JOIN b AS y ON y.id = x.id")
    client.run("DELETE a FROM a JOIN b ON b.id = a.id WHERE b.id = 2")
    client.run("WITH c AS (SELECT id FROM a WHERE id = 3) UPDATE a SET v = 33 FROM a JOIN c ON c.id = a.id")
    assert client.rows("SELECT id, v FROM a ORDER BY id") == [(1, 10), (3, 33)]


def test_describe_returns_the_first_result_without_running_it(client: Client) -> None:
    client.run("CREATE TABLE t (id int IDENTITY, n nvarchar(20) NULL)")
    columns = client.session.describe(
        "INSERT t VALUES ('x'); SELECT id, n AS [the name], id * 1.5 FROM t WHERE id = @p", "@p int"
    )
    assert [(c.name, c.type.name, c.nullable) for c in columns] == [
        ("id", "int", False),
        ("the name", "nvarchar", True),
        ("", "numeric", False),
    ]
    assert columns[0].identity
    assert client.value("SELECT count(*) FROM t") == 0
    assert client.session.describe("DELETE t") == ()


def test_undeclared_parameters_get_their_types_from_the_context(client: Client) -> None:
    client.run("CREATE TABLE t (id int, n nvarchar(20), d decimal(10,2))")
    found = client.session.describe_parameters("INSERT t VALUES (@P1, @P2, @P3)")
    assert [(n, t.name, t.length) for n, t in found] == [
        ("@p1", "int", None),
        ("@p2", "nvarchar", 20),
        ("@p3", "decimal", None),
    ]
    found = client.session.describe_parameters("SELECT * FROM t WHERE d > @P1 AND n LIKE @P2 AND id IN (@P3)")
    assert [t.name for _, t in found] == ["decimal", "nvarchar", "int"]


def test_bulk_insert_is_all_or_nothing(client: Client) -> None:
    client.run("CREATE TABLE t (id int PRIMARY KEY, n nvarchar(20))")
    rows = [(i, f"n{i}") for i in range(10_000)]
    assert client.session.bulk_insert("dbo.t", ["id", "n"], iter(rows)) == 10_000
    assert client.rows("SELECT count(*), max(id) FROM t") == [(10_000, 9_999)]


def test_a_session_reset_discards_settings_temp_tables_and_transaction(client: Client) -> None:
    client.run("CREATE TABLE t (id int); CREATE TABLE #x (id int); SET NOCOUNT ON; BEGIN TRAN; INSERT t VALUES (1)")
    client.run("USE master")
    client.session.reset()
    assert client.value("SELECT @@TRANCOUNT") == 0
    assert client.value("SELECT count(*) FROM t") == 0
    assert client.error("SELECT * FROM #x") == 208


def test_definitions_inside_a_transaction_roll_back_with_it(client: Client) -> None:
    client.run("BEGIN TRAN; CREATE TABLE t (id int); INSERT t VALUES (1); ROLLBACK")
    assert client.error("SELECT * FROM t") == 208
    client.run("BEGIN TRAN; CREATE TABLE t (id int); INSERT t VALUES (1); COMMIT")
    assert client.value("SELECT count(*) FROM t") == 1


def test_a_statement_with_output_into_is_undone_as_a_whole(client: Client) -> None:
    client.run(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE log (id int PRIMARY KEY); INSERT log VALUES (2); BEGIN TRAN"
    )
    client.run("INSERT t VALUES (1)")
    assert client.error("INSERT t OUTPUT inserted.id INTO log VALUES (2), (3)") == 2627
    client.run("COMMIT")
    assert client.rows("SELECT id FROM t") == [(1,)]
    assert client.rows("SELECT id FROM log") == [(2,)]


def test_a_rollback_reports_which_definitions_it_does_not_undo(client: Client) -> None:
    client.run("CREATE TABLE t (id int)")
    answer = client.answer("BEGIN TRAN; ALTER TABLE t ADD b int; ROLLBACK")
    assert answer.errors == []
    assert "AlterTable" in answer.messages[-1].text


def test_a_statement_on_another_database_runs_there(client: Client, engine: Engine, database: str) -> None:
    client.run("CREATE TABLE t (id int PRIMARY KEY); INSERT t VALUES (7); EXEC sys.sp_cdc_enable_db")
    client.run("EXEC sys.sp_cdc_enable_table 'dbo', 't', NULL; CREATE TABLE local (id int)")
    master = connect(engine, "master")
    assert master.value(f"SELECT id FROM {database}.dbo.t") == 7
    assert master.value(f"SELECT [{database}].sys.fn_cdc_get_max_lsn()") is not None
    assert master.value("SELECT sys.fn_cdc_get_max_lsn()") is None
    master.run(f"BEGIN TRAN; INSERT {database}..t VALUES (8)")
    assert client.value("SELECT count(*) FROM t") == 1
    master.run("COMMIT")
    assert client.value("SELECT count(*) FROM cdc.dbo_t_CT") == 1
    assert master.value("SELECT DB_NAME()") == "master"
    assert client.error("SELECT * FROM local JOIN master.dbo.nothing n ON n.id = local.id") == 40515
    assert client.value(f"SELECT count(*) FROM local RIGHT JOIN master.sys.databases d ON d.name = '{database}'") > 0

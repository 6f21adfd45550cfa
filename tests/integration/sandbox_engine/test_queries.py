"""The forms of SELECT."""

from __future__ import annotations

import pytest

from tests.integration.sandbox_engine.client import Client


@pytest.fixture
def shop(client: Client) -> Client:
    client.run(
        "CREATE TABLE customers (id int PRIMARY KEY, name nvarchar(20)); "
        "CREATE TABLE orders (id int PRIMARY KEY, customer int, total decimal(10,2), placed date)"
    )
    client.run(
        "INSERT customers VALUES (1, N'Ada'), (2, N'Bob'), (3, N'Cy'); "
        "INSERT orders VALUES (10, 1, 5.50, '2023-01-01'), (11, 1, 4.50, '2023-02-01'), (12, 2, 7, '2023-01-15'), (13, 9, 1, NULL)"
    )
    return client


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT c.name, o.id FROM customers c JOIN orders o ON o.customer = c.id ORDER BY o.id", [("Ada", 10), ("Ada", 11), ("Bob", 12)]),
        ("SELECT c.name, o.id FROM customers c LEFT JOIN orders o ON o.customer = c.id AND o.total > 5 ORDER BY c.id", [("Ada", 10), ("Bob", 12), ("Cy", None)]),
        ("SELECT c.id, o.id FROM customers c FULL JOIN orders o ON o.customer = c.id WHERE c.id IS NULL OR o.id IS NULL ORDER BY 1", [(None, 13), (3, None)]),
        ("SELECT c.id, count(o.id) n FROM customers c RIGHT JOIN orders o ON o.customer = c.id GROUP BY c.id HAVING count(*) > 1", [(1, 2)]),
        ("SELECT TOP (2) id FROM orders ORDER BY total DESC", [(12,), (10,)]),
        ("SELECT TOP (1) WITH TIES customer FROM orders ORDER BY customer", [(1,), (1,)]),
        ("SELECT TOP 50 PERCENT id FROM orders ORDER BY id", [(10,), (11,)]),
        ("SELECT id FROM orders ORDER BY id OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY", [(11,), (12,)]),
        ("SELECT DISTINCT customer FROM orders WHERE customer < 5 ORDER BY customer DESC", [(2,), (1,)]),
        ("SELECT name FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer = c.id AND o.total > 6)", [("Bob",)]),
        ("SELECT name FROM customers WHERE id NOT IN (SELECT customer FROM orders) ORDER BY 1", [("Cy",)]),
        ("SELECT name, (SELECT max(total) FROM orders o WHERE o.customer = c.id) FROM customers c WHERE c.id = 3", [("Cy", None)]),
        ("SELECT id FROM orders WHERE total >= ALL (SELECT total FROM orders)", [(12,)]),
        ("SELECT id FROM orders WHERE total > ANY (SELECT total FROM orders WHERE customer = 1) ORDER BY id", [(10,), (12,)]),
        ("SELECT id FROM orders WHERE placed BETWEEN '2023-01-10' AND '2023-02-01' ORDER BY id", [(11,), (12,)]),
        ("SELECT id FROM customers UNION SELECT customer FROM orders ORDER BY id", [(1,), (2,), (3,), (9,)]),
        ("SELECT customer FROM orders EXCEPT SELECT id FROM customers", [(9,)]),
        ("SELECT customer FROM orders INTERSECT SELECT id FROM customers ORDER BY customer", [(1,), (2,)]),
        ("WITH big AS (SELECT * FROM orders WHERE total > 4) SELECT count(*) FROM big b JOIN big c ON b.id = c.id", [(3,)]),
        ("WITH n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT sum(i) FROM n OPTION (MAXRECURSION 0)", [(125250,)]),
        ("SELECT id, row_number() OVER (PARTITION BY customer ORDER BY id DESC) rn FROM orders ORDER BY id", [(10, 2), (11, 1), (12, 1), (13, 1)]),
        ("SELECT id, sum(id) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING), lag(id, 1, 0) OVER (ORDER BY id) FROM orders WHERE id < 12", [(10, 10, 0), (11, 21, 10)]),
        ("SELECT year(placed) y, count(*) FROM orders GROUP BY year(placed) ORDER BY y", [(None, 1), (2023, 3)]),
        ("SELECT CASE customer WHEN 1 THEN 'one' ELSE 'other' END k, count(*) FROM orders GROUP BY CASE customer WHEN 1 THEN 'one' ELSE 'other' END ORDER BY k", [("one", 2), ("other", 2)]),
        ("SELECT x.a, y.b FROM (VALUES (1, 'p'), (2, 'q')) x(a, n) CROSS JOIN (SELECT 5 AS b) y ORDER BY x.a", [(1, 5), (2, 5)]),
        ("SELECT value FROM STRING_SPLIT('a,b', ',')", [("a",), ("b",)]),
        ("SELECT c.name, s.value FROM customers c CROSS APPLY STRING_SPLIT(c.name, 'd') s WHERE c.id = 1", [("Ada", "A"), ("Ada", "a")]),
        ("SELECT a, b FROM OPENJSON('[{\"a\":1,\"b\":\"x\"},{\"a\":2}]') WITH (a int, b nvarchar(5))", [(1, "x"), (2, None)]),
        ("SELECT sum(value) FROM GENERATE_SERIES(1, 10, 3)", [(22,)]),
        ("SELECT count(*), count(placed), min(name) FROM orders o JOIN customers c ON 1 = 1", [(12, 9, "Ada")]),
        ("SELECT o.* FROM orders o WHERE id = 13", [(13, 9, __import__("decimal").Decimal("1.00"), None)]),
        ("SELECT id AS [order] FROM orders WHERE id IN (10, 99)", [(10,)]),
        ("SELECT 'x' AS a ORDER BY a", [("x",)]),
    ],
)  # fmt: skip
def test_a_query_returns_its_rows(shop: Client, sql: str, rows: list[tuple[object, ...]]) -> None:
    assert shop.rows(sql) == rows


def test_joins_ignore_case_and_trailing_blanks(client: Client) -> None:
    client.run(
        "CREATE TABLE a (x varchar(5)); CREATE TABLE b (x char(5), y int); INSERT a VALUES ('u'); INSERT b VALUES ('U', 1)"
    )
    assert client.rows("SELECT b.y FROM a JOIN b ON b.x = a.x") == [(1,)]
    assert client.rows("SELECT b.y FROM a LEFT JOIN b ON b.x = a.x AND b.x = 'u'") == [(1,)]
    client.run("UPDATE b SET y = 2 FROM b JOIN a ON a.x = b.x")
    assert client.rows("SELECT y FROM b WHERE EXISTS (SELECT 1 FROM a WHERE a.x = b.x)") == [(2,)]


def test_select_into_creates_a_table_with_the_same_types(shop: Client) -> None:
    shop.run(
        "SELECT id, total, name = CAST('x' AS varchar(7)) INTO copy FROM orders; SELECT * INTO #own FROM copy WHERE id > 11"
    )
    assert shop.rows("SELECT count(*), max(total) FROM copy")[0][0] == 4
    assert shop.value("SELECT count(*) FROM #own") == 2
    assert shop.rows("SELECT c.name, t.name, c.max_length FROM sys.columns c JOIN sys.types t ON t.user_type_id = c.user_type_id "
                     "WHERE object_id = OBJECT_ID('copy') ORDER BY column_id") == [
        ("id", "int", 4), ("total", "decimal", 9), ("name", "varchar", 7),
    ]  # fmt: skip


def test_views_can_be_queried_like_tables(shop: Client) -> None:
    shop.run("CREATE VIEW totals (who, total) AS SELECT customer, sum(total) FROM orders GROUP BY customer")
    assert shop.value("SELECT total FROM totals WHERE who = 2") == 7
    assert shop.rows("SELECT table_type FROM information_schema.tables WHERE table_name = 'totals'") == [("VIEW",)]


def test_the_catalog_answers_queries_of_tools(shop: Client, database: str) -> None:
    assert shop.rows(
        "SELECT s.name, t.name FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id ORDER BY t.name"
    ) == [("dbo", "customers"), ("dbo", "orders")]
    assert shop.rows("SELECT column_name, data_type, is_nullable, numeric_scale FROM information_schema.columns WHERE table_name = 'orders' ORDER BY ordinal_position") == [
        ("id", "int", "NO", 0), ("customer", "int", "YES", 0), ("total", "decimal", "YES", 2), ("placed", "date", "YES", None),
    ]  # fmt: skip
    assert shop.rows(
        "SELECT DB_NAME(), OBJECT_NAME(OBJECT_ID('dbo.orders')), SCHEMA_NAME(1), OBJECT_ID('nothing')"
    ) == [(database, "orders", "dbo", None)]
    assert shop.value("SELECT k.column_name FROM information_schema.table_constraints c JOIN information_schema.key_column_usage k "
                      "ON k.constraint_name = c.constraint_name WHERE c.table_name = 'orders' AND c.constraint_type = 'PRIMARY KEY'") == "id"  # fmt: skip
    assert shop.value("SELECT CAST(SERVERPROPERTY('EngineEdition') AS int)") == 3
    assert shop.value("SELECT count(*) FROM sys.dm_exec_sessions WHERE session_id = @@SPID") == 1


def test_a_large_result_streams_in_bounded_batches(client: Client) -> None:
    sizes = [
        len(e.rows) for e in client.session.execute("SELECT value FROM GENERATE_SERIES(1, 20000)") if hasattr(e, "rows")
    ]
    assert sum(sizes) == 20_000
    assert max(sizes) <= 1000
    assert sizes[0] < 1000

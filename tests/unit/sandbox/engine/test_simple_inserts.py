from __future__ import annotations

import pytest
from dstream_sandbox.sqlserver.engine.syntax.simple_inserts import simplified


def test_constants_become_variables_with_wide_types() -> None:
    found = simplified("INSERT INTO dbo.[t x] (a, b) VALUES (1, N'it''s', -2.50, NULL, 'v');")
    assert found is not None
    assert found.sql == "INSERT INTO dbo.[t x] (a, b) VALUES (@__0,@__1,@__2,NULL,@__3)"
    assert [(n, t.name, t.length, t.scale, v) for n, t, v in found.values] == [
        ("@__0", "int", None, None, 1),
        ("@__1", "nvarchar", 4000, None, "it's"),
        ("@__2", "numeric", None, 2, -250),
        ("@__3", "varchar", 8000, None, "v"),
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT t VALUES (1), (2)",
        "INSERT t VALUES (1 + 1)",
        "INSERT t VALUES (1, GETDATE())",
        "INSERT t VALUES (@a)",
        "INSERT t OUTPUT inserted.id VALUES (1) SELECT 1",
        "INSERT t VALUES (99999999999)",
        "INSERT t VALUES (1e5)",
        "INSERT t VALUES (0xFF)",
        "INSERT t -- 'x'\nVALUES (1)",
        "INSERT t VALUES (1) SELECT 2",
    ],
)
def test_other_statements_are_not_simplified(sql: str) -> None:
    assert simplified(sql) is None

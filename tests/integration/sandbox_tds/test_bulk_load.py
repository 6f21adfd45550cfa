"""Bulk load with FreeTDS's bcp, which pymssql offers."""

from __future__ import annotations

import subprocess
import sys

from dstream_sandbox.sqlserver.session import Column
from dstream_sandbox.sqlserver.values import SqlType

from tests.integration.sandbox_tds.conftest import Listener
from tests.integration.sandbox_tds.scripted_engine import PASSWORD

NAMES_OF = (
    "SELECT column_id, TYPE_NAME(system_type_id) AS system_type_name, is_identity "
    "FROM sys.columns WHERE object_id = OBJECT_ID(N'dbo.t')"
)


def test_bulk_loaded_rows_arrive_with_their_nulls(listener: Listener) -> None:
    head = (
        Column("id", SqlType("int")),
        Column("name", SqlType("varchar", 50)),
        Column("note", SqlType("varchar", -1)),
    )
    listener.engine.results["SET FMTONLY ON select * from dbo.t SET FMTONLY OFF"] = (head, [])
    described = tuple(Column(name, SqlType("int")) for name in ("column_id", "system_type_name", "is_identity"))
    listener.engine.results[NAMES_OF] = (described, [])
    rows = [(1, "one", "x" * 10_000), (2, None, None), (3, "drei", "x")]
    # In a separate process: pymssql holds the GIL while it loads.
    program = f"""
import pymssql
connection = pymssql.connect(
    server="127.0.0.1", port="{listener.port}", user="sa", password="{PASSWORD}", autocommit=True
)
connection.bulk_copy("dbo.t", {rows!r})
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    (loaded,) = listener.engine.bulk
    assert loaded == ("dbo.t", ("id", "name", "note"), rows)

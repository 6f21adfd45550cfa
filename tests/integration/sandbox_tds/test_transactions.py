"""Transaction manager requests and the ENVCHANGEs that answer them."""

from __future__ import annotations

import pyodbc

from tests.integration.sandbox_tds.conftest import Listener


def test_a_driver_with_autocommit_off_begins_commits_and_rolls_back(listener: Listener) -> None:
    with listener.odbc(autocommit=False) as connection:
        connection.execute("INSERT one")
        connection.commit()
        connection.execute("INSERT two")
        connection.rollback()
    kinds = [kind for kind, _ in listener.engine.transactions]
    assert kinds[:4] == ["begin", "commit", "begin", "rollback"]


def test_an_isolation_level_is_sent_with_begin_or_as_a_statement(listener: Listener) -> None:
    with listener.odbc() as connection:
        connection.set_attr(pyodbc.SQL_ATTR_TXN_ISOLATION, pyodbc.SQL_TXN_SERIALIZABLE)
        connection.autocommit = False
        connection.execute("INSERT one")
        connection.commit()
    levels = [level for _, level in listener.engine.transactions]
    statements = [sql for sql, _, _ in listener.engine.executed]
    assert "SERIALIZABLE" in levels or any("SERIALIZABLE" in sql.upper() for sql in statements)


def test_freetds_commits_with_a_statement(listener: Listener) -> None:
    with listener.freetds(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT one")
        connection.commit()
    statements = [sql.strip().upper() for sql, _, _ in listener.engine.executed]
    assert statements.index("BEGIN TRAN") < statements.index("INSERT ONE") < statements.index("COMMIT TRAN")

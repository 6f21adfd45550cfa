"""A mistake of SQLite 3.38 to 3.40: the Bloom filter of an automatic index takes a text's length into its hash, so
that a join on texts which the collation calls equal, but for trailing blanks, loses rows. Statements that compare
texts are then prepared without automatic indexes."""

from __future__ import annotations

import sqlite3


def _loses_rows() -> bool:
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        "CREATE TABLE a (x); CREATE TABLE b (x, y); INSERT INTO a VALUES ('u'); INSERT INTO b VALUES ('u ', 1)"
    )
    found = connection.execute("SELECT b.y FROM a CROSS JOIN b ON b.x = a.x COLLATE RTRIM").fetchall()
    connection.close()
    return not found


LOSES_ROWS = _loses_rows()


def prepare_for_texts(connection: sqlite3.Connection, compares_text: bool) -> None:
    """To be called before a statement is run."""
    if LOSES_ROWS:
        connection.execute("PRAGMA automatic_index = OFF" if compares_text else "PRAGMA automatic_index = ON")

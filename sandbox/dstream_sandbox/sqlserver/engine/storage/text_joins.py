"""Works around a bug in SQLite 3.38 to 3.40: the Bloom filter of an automatic index hashes the length of a text, so a
join on texts that the collation considers equal despite trailing blanks loses rows. If SQLite has the bug, statements
that compare texts are prepared without automatic indexes."""

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
    """Call this before running a statement."""
    if LOSES_ROWS:
        connection.execute("PRAGMA automatic_index = OFF" if compares_text else "PRAGMA automatic_index = ON")

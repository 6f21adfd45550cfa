"""The sandbox's SQL Server without its wire: T-SQL, transactions, types and change data capture on SQLite.

A batch goes through four stages: `syntax/` (text to tree), `binder/` (tree to typed SQLite SQL), the statement modules
(`data_statements`, `definitions`, `procedures`, ...) that run it in a `session`, and `transactions`, which commits it
together with the change rows of `cdc/` under one short lock."""

from __future__ import annotations

from pathlib import Path

from dstream_sandbox.sqlserver.engine.platforms import SQL_SERVER, Platform
from dstream_sandbox.sqlserver.engine.server import SqlEngine
from dstream_sandbox.sqlserver.session import Engine

__all__ = ["open_engine"]


def open_engine(
    data: Path, *, user: str, password: str, capture_delay_s: float = 0.0, platform: Platform = SQL_SERVER
) -> Engine:
    """Open (or create) the server stored in the folder `data`. `user` is its administrator; `capture_delay_s` is the
    delay between a commit and its changes appearing in the change tables."""
    return SqlEngine(data, user, password, capture_delay_s, platform)

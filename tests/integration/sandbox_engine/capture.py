"""Captures tables, and reads what was captured."""

from __future__ import annotations

from typing import Any

from tests.integration.sandbox_engine.client import Client

KEY = "[__$start_lsn], [__$command_id], [__$seqval], [__$operation]"


def enable(client: Client, table: str, *, instance: str | None = None, net: int = 0, extra: str = "") -> None:
    name = f", @capture_instance = N'{instance}'" if instance else ""
    client.run(
        f"EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'{table}', @role_name = NULL{name}, "
        f"@supports_net_changes = {net}{extra}"
    )


def changes(client: Client, columns: str, instance: str = "dbo_t") -> list[tuple[Any, ...]]:
    """The operation and columns of all rows, in order."""
    return client.rows(f"SELECT [__$operation], {columns} FROM cdc.[{instance}_CT] ORDER BY {KEY}")

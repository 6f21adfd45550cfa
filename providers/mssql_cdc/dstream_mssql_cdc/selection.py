"""Which captured tables the config selects, and what keeps the login from reading them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from dstream.sdk.errors import DStreamError
from dstream_mssql_cdc import errors
from dstream_mssql_cdc.catalog import Catalog, closest, select
from dstream_mssql_cdc.instances import CapturedTable


def selected(
    catalog: Catalog, wanted: Sequence[str], login: str, table_exists: Callable[[str, str], bool]
) -> tuple[list[CapturedTable], Iterator[DStreamError]]:
    """Return the tables that `wanted` selects, and an error for each entry without a table and each instance that the
    login cannot read."""
    tables, missing = select(catalog, wanted)

    def problems() -> Iterator[DStreamError]:
        for at, name in missing.items():
            path = f"tables[{at}]"
            if name.table != "*" and table_exists(name.schema, name.table):
                yield errors.table_not_captured(name.schema, name.table, path)
            else:
                yield errors.unknown_table(wanted[at], name.schema, path, login, closest(catalog, name))
        for table in tables:
            for instance in table.instances:
                if instance.mark.instance in catalog.unreadable:
                    yield errors.no_grant(f"no SELECT on cdc.{instance.mark.instance}_CT", login)

    return list(tables), problems()

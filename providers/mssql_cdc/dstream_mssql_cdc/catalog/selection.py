"""Which captured tables the config selects, and what keeps the login from reading them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from dstream.sdk.errors import DStreamError
from dstream_mssql_cdc import errors
from dstream_mssql_cdc.catalog.instances import CapturedTable
from dstream_mssql_cdc.catalog.tables import Catalog, TableName, closest, named_and_excluded, select


class TableProblem(NamedTuple):
    """`absent`: the name or pattern in the config that no captured table has."""

    error: DStreamError
    absent: TableName | None = None


def not_accepted(
    problems: Iterable[TableProblem], on_table_change: str, known: Collection[str] | None = None
) -> Iterator[DStreamError]:
    """The errors that end the run. Unless `on_table_change` is "fail", tables may be absent that the checkpoint knows.
    `known`: their names; None if the checkpoint is not known yet."""
    for error, absent in problems:
        is_accepted = absent is not None and (known is None or any(map(absent.selects, known)))
        if on_table_change == "fail" or not is_accepted:
            yield error


def selected(
    catalog: Catalog,
    wanted: Sequence[str],
    excluded: Sequence[str],
    login: str,
    table_exists: Callable[[str, str], bool],
) -> tuple[list[CapturedTable], Iterator[TableProblem]]:
    """Return the tables that `wanted` selects and `excluded` does not, and a problem for each entry without a table and
    each instance that the login cannot read."""
    tables, missing = select(catalog, wanted, excluded)

    def problems() -> Iterator[TableProblem]:
        yield from map(TableProblem, named_and_excluded(wanted, excluded))
        for at, name in missing.items():
            path = f"tables[{at}]"
            if name.table != "*" and table_exists(name.schema, name.table):
                yield TableProblem(errors.table_not_captured(name.schema, name.table, path), name)
            else:
                close = closest(catalog, name)
                yield TableProblem(errors.unknown_table(wanted[at], name.schema, path, login, close), name)
        for table in tables:
            for instance in table.instances:
                if instance.mark.instance in catalog.unreadable:
                    yield TableProblem(errors.no_grant(f"no SELECT on cdc.{instance.mark.instance}_CT", login))

    return list(tables), problems()

"""The captured tables of a database, and which of them the config selects. Pure: the rows are arguments."""

from __future__ import annotations

import difflib
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from dstream.sdk.errors import ConfigError
from dstream_mssql_cdc import errors
from dstream_mssql_cdc.catalog.columns import Column, Hiding, milliseconds
from dstream_mssql_cdc.catalog.instances import CapturedInstance, CapturedTable, Watermark
from dstream_mssql_cdc.config import ColumnChoice


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that is captured. `unreadable`: instances whose change tables the login cannot read."""

    tables: tuple[CapturedTable, ...]
    unreadable: frozenset[str]


@dataclass(frozen=True, slots=True)
class TableName:
    """A table name from `tables` or `exclude_tables`; `table` is "*" for all tables of a schema, and so is `schema` for
    those of all schemas."""

    schema: str
    table: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"

    def selects(self, name: str) -> bool:
        """Whether a `schema.table` has this name, in any case, or is in the schema."""
        if self.table == "*":
            return self.schema == "*" or name.casefold().startswith(f"{self.schema}.".casefold())
        return name.casefold() == str(self).casefold()


def catalog_of(
    tables: Sequence[Sequence[Any]],
    columns: Sequence[Sequence[Any]],
    details: Iterable[Mapping[str, Any]],
    keys: Iterable[Sequence[Any]],
    masked: Container[tuple[int, str]] = (),
    ddl: Iterable[Sequence[Any]] = (),
) -> Catalog:
    """Build the catalog from the results of sql.CATALOG (`ddl` is the last one) and sql.MASKED."""
    stored = {(detail["object_id"], detail["name"]): detail for detail in details}
    source_of = {object_id: source_id for _, _, source_id, _, object_id, *_ in tables}
    columns_of: dict[int, list[Column]] = {}
    for object_id, name, captured_type, ordinal, is_computed in columns:
        if is_computed:
            continue  # "cdc.<capture_instance>_CT": computed columns are NULL in every change row.
        if (object_id, name) not in stored:
            continue  # The login has no permission on this change table, so it is in `unreadable`.
        detail = stored[object_id, name]
        column = Column(
            name,
            _type_of(captured_type, detail),
            ordinal,
            detail["max_length"],
            detail["scale"],
            precision=detail["precision"],
            is_masked=(object_id, name) in masked,
            is_encrypted=any(
                stored.get((of, name), {}).get("encryption_type") for of in (object_id, source_of.get(object_id))
            ),
        )
        columns_of.setdefault(object_id, []).append(column)
    key_of: dict[int, list[str]] = {}
    for object_id, name in keys:
        key_of.setdefault(object_id, []).append(name)
    instances: dict[tuple[str, int], list[CapturedInstance]] = {}
    unreadable = set()
    for schema, table, source_id, instance, object_id, start_lsn, created, may_read, modified in tables:
        mark = watermark((instance, object_id, source_id, start_lsn, created, modified))
        captured = CapturedInstance(mark, tuple(columns_of.get(object_id, ())), tuple(key_of.get(object_id, ())))
        instances.setdefault((f"{schema}.{table}", source_id), []).append(captured)
        if may_read == 0:
            unreadable.add(instance)
    found = [CapturedTable(name, object_id, tuple(of)) for (name, object_id), of in instances.items()]
    captured_names: dict[int, set[str]] = {}
    for object_id, name, *_ in columns:
        captured_names.setdefault(object_id, set()).add(name)
    commands: dict[int, list[str]] = {}
    for object_id, command in ddl:
        commands.setdefault(object_id, []).append(command or "")
    return Catalog(
        tuple(replace(table, uncaptured=_uncaptured(table, stored, captured_names, commands)) for table in found),
        frozenset(unreadable),
    )


def _uncaptured(
    table: CapturedTable,
    stored: Mapping[tuple[int, str], Mapping[str, Any]],
    captured: Mapping[int, set[str]],
    commands: Mapping[int, Sequence[str]],
) -> tuple[str, ...]:
    """The columns of the source table that no instance captures, although they were added after the newest one was
    created. Columns that existed then were left out on purpose (@captured_column_list)."""
    known = {name for instance in table.instances for name in captured.get(instance.mark.object_id, ())}
    added = [command for command in commands.get(table.newest.mark.object_id, ()) if _ADD.search(command)]
    return tuple(
        name
        for (object_id, name), detail in stored.items()
        if object_id == table.object_id
        and name not in known
        and not detail.get("is_computed")
        and any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", command, re.IGNORECASE) for command in added)
    )


_ADD = re.compile(r"\bADD\b", re.IGNORECASE)


def _type_of(captured_type: str, detail: Mapping[str, Any]) -> str:
    """Return the built-in type of a column, also if its declared type is an alias."""
    if captured_type in _OWN_TYPES or detail["base_type"] is None:
        return captured_type
    if _LAST_SYSTEM_TYPE < detail["user_type_id"] < _SYSNAME:
        return str(detail["type_name"])
    return str(detail["base_type"])


_LAST_SYSTEM_TYPE, _SYSNAME = 240, 256
"""sys.types: newer built-in types, such as vector (255), share the system_type_id of another type and differ in their
user_type_id. User-defined types begin at 257."""

_OWN_TYPES = frozenset(["timestamp", "rowversion", "hierarchyid", "geometry", "geography"])
"""Types that the change table's own column does not reveal: rowversion is captured as binary(8)."""


def watermark(row: Sequence[Any]) -> Watermark:
    """Convert a row of sql.WATERMARKS or sql.WATERMARKS_OF_TABLE."""
    instance, object_id, source_object_id, start_lsn, created, *modified = row
    return Watermark(instance, object_id, source_object_id, start_lsn, _created(created), *modified)


_created = lru_cache(4096)(milliseconds)
"""Cached, since every poll returns the creation dates of all tables."""


def parse_table_name(text: str, config_path: str) -> TableName:
    """Parse `schema.table`, `table` (in dbo), `schema.*` or `*.*`, with optional brackets. Raises ConfigError."""
    match = _NAME.fullmatch(text.strip())
    if not match or (match[1] == "*" and match[2] != "*"):
        raise ConfigError(
            "mssql.table_name",
            f'invalid table name "{text}"',
            hint='Use "schema.table", "table" (in dbo), "schema.*" or "*.*"; put names that contain dots in brackets: '
            '"[my.schema].[t]".',
            config_path=config_path,
        )
    parts = [_unbracketed(part) for part in (match[1], match[2]) if part is not None]
    return TableName(*parts) if len(parts) == 2 else TableName("dbo", parts[0])


_PART = r"(\[(?:[^\]]|\]\])+\]|[^.\[\]]+)"
_NAME = re.compile(rf"{_PART}(?:\.{_PART})?")


def _unbracketed(part: str) -> str:
    return part[1:-1].replace("]]", "]") if part.startswith("[") else part.strip()


def select(
    catalog: Catalog, patterns: Sequence[str], excluded: Sequence[str] = ()
) -> tuple[list[CapturedTable], dict[int, TableName]]:
    """The tables that `patterns` select and `excluded` do not, without duplicates and in that order, and the names
    without a match, by index."""
    chosen: dict[str, CapturedTable] = {}
    missing: dict[int, TableName] = {}
    unwanted = {table.object_id for name in _parsed_exclusions(excluded) for table in matching(catalog.tables, name)}
    for at, pattern in enumerate(patterns):
        wanted = parse_table_name(pattern, f"tables[{at}]")
        found = [table for table in matching(catalog.tables, wanted) if table.object_id not in unwanted]
        chosen.update((table.name, table) for table in found)
        if not found:
            missing[at] = wanted
    return list(chosen.values()), missing


def is_selected(name: str, patterns: Sequence[str], excluded: Sequence[str] = ()) -> bool:
    """Whether `patterns` select a table of that name, captured or not, and `excluded` do not."""
    wanted = (parse_table_name(pattern, f"tables[{at}]") for at, pattern in enumerate(patterns))
    return any(each.selects(name) for each in wanted) and not any(
        each.selects(name) for each in _parsed_exclusions(excluded)
    )


def named_and_excluded(patterns: Sequence[str], excluded: Sequence[str]) -> Iterator[ConfigError]:
    """An error for each table that is named in `tables` and excluded."""
    for at, pattern in enumerate(patterns):
        wanted = parse_table_name(pattern, f"tables[{at}]")
        if wanted.table != "*" and not is_selected(str(wanted), [pattern], excluded):
            yield ConfigError(
                "mssql.table_excluded",
                f'"{pattern}" is named in tables, and exclude_tables excludes it',
                hint="Remove it from one of them.",
                config_path=f"tables[{at}]",
            )


def unused_exclusions(catalog: Catalog, excluded: Sequence[str]) -> Iterator[TableName]:
    """The exclusions that exclude none of the captured tables."""
    return (name for name in _parsed_exclusions(excluded) if not matching(catalog.tables, name))


def _parsed_exclusions(excluded: Sequence[str]) -> list[TableName]:
    return [parse_table_name(pattern, f"exclude_tables[{at}]") for at, pattern in enumerate(excluded)]


def closest(catalog: Catalog, wanted: TableName) -> str:
    """The captured table with the closest name; empty if none is close."""
    return next(iter(difflib.get_close_matches(str(wanted), [table.name for table in catalog.tables], n=1)), "")


def matching(tables: Iterable[CapturedTable], wanted: TableName) -> list[CapturedTable]:
    """Return exact matches, or else case-insensitive ones, as most databases do."""
    found = [table for table in tables if wanted.selects(table.name)]
    return [table for table in found if table.name == str(wanted)] or found


def choose_columns(
    table: CapturedTable, instance: CapturedInstance, choices: Mapping[str, ColumnChoice]
) -> tuple[Column, ...]:
    """The columns of the instance to read. Raises ConfigError for a choice that excludes or redacts a key column, or
    names a column of none of the table's instances."""
    columns = instance.columns
    for name, choice in choices.items():
        path = f'columns["{name}"]'
        if not matching([table], parse_table_name(name, path)):
            continue
        known = {column.name for captured in table.instances for column in captured.columns}
        for wanted in [*(choice.include or []), *choice.exclude, *choice.hash, *choice.redact]:
            if wanted not in known:
                raise _no_such_column(table.name, wanted, known, path)
        kept = set(choice.include if choice.include is not None else known) - set(choice.exclude)
        missing = [key for key in instance.key if key not in kept]
        if missing:
            raise ConfigError(
                "mssql.key_excluded",
                f"{table.name}.{missing[0]} is part of the key, so it cannot be excluded",
                hint="Include all key columns.",
                config_path=path,
            )
        redacted = [key for key in instance.key if key in choice.redact]
        if redacted:
            raise ConfigError(
                "mssql.key_redacted",
                f"{table.name}.{redacted[0]} is part of the key, so it cannot be redacted",
                hint="Hash it: equal keys then have equal hashes.",
                config_path=f"{path}.redact",
            )
        columns = tuple(replace(column, hiding=_hiding(column, choice)) for column in columns if column.name in kept)
    return columns


def _hiding(column: Column, choice: ColumnChoice) -> Hiding | None:
    if column.name in choice.redact:
        return "redact"
    return "hash" if column.name in choice.hash else column.hiding


def check_readable(table: str, columns: Iterable[Column], login: str) -> None:
    """Raise ConfigError or AuthError for a column whose values the login would not get as they are stored."""
    for column in columns:
        if column.hiding == "redact":
            continue
        if column.is_encrypted:
            raise errors.encrypted_column(table, column.name)
        if column.is_masked:
            raise errors.masked_column(table, column.name, login)


def check_choices(tables: Sequence[CapturedTable], choices: Mapping[str, ColumnChoice]) -> None:
    """Raise ConfigError for a choice for a table that is not read, or one that `choose_columns` rejects."""
    for _, error in unmatched_choices(tables, choices):
        raise error
    for table in tables:
        for instance in table.instances:
            choose_columns(table, instance, choices)


def unmatched_choices(
    tables: Sequence[CapturedTable], choices: Mapping[str, ColumnChoice]
) -> Iterator[tuple[TableName, ConfigError]]:
    """The choices for tables that are not read, each with an error."""
    for name in choices:
        path = f'columns["{name}"]'
        wanted = parse_table_name(name, path)
        if not matching(tables, wanted):
            yield (
                wanted,
                ConfigError(
                    "mssql.columns",
                    f'"{name}" in columns is not one of the tables to read',
                    hint="Add it to `tables`, or remove it from `columns`.",
                    config_path=path,
                ),
            )


def _no_such_column(table: str, column: str, known: Iterable[str], config_path: str) -> ConfigError:
    close = difflib.get_close_matches(column, known, n=1)
    return ConfigError(
        "mssql.unknown_column",
        f'column "{column}" of {table} does not exist or is not captured',
        hint=f'Did you mean "{close[0]}"?' if close else f"Captured columns: {', '.join(sorted(known))}.",
        config_path=config_path,
    )

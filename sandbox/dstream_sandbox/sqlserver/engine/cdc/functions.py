"""The table functions of CDC (Microsoft Learn, "cdc.fn_cdc_get_all_changes_<capture_instance>",
"cdc.fn_cdc_get_net_changes_<capture_instance>")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.binder.casts import cast_sql
from dstream_sandbox.sqlserver.engine.binder.environment import FunctionTable
from dstream_sandbox.sqlserver.engine.binder.expression import Ex, fn
from dstream_sandbox.sqlserver.engine.catalog import rights
from dstream_sandbox.sqlserver.engine.cdc import lsn
from dstream_sandbox.sqlserver.engine.cdc.instances import END_LSN, CaptureInstance
from dstream_sandbox.sqlserver.engine.storage.connection import collation_for
from dstream_sandbox.sqlserver.engine.storage.marks import mark
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.session import SqlError

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession

_ALL, _NET = "fn_cdc_get_all_changes_", "fn_cdc_get_net_changes_"


def function_table(session: SqlSession, name: tuple[str, ...], args: Sequence[Ex]) -> FunctionTable | None:
    """Return the SQL of a CDC table function call; None if the name is not a CDC table function."""
    if len(name) < 2 or name[-2].lower() != "cdc":
        return None
    function = name[-1].lower()
    for prefix in (_ALL, _NET):
        if function.startswith(prefix):
            instance = session.home.capture.named(function[len(prefix) :])
            if instance is None or (prefix == _NET and not instance.supports_net_changes):
                return None
            return _changes(session, instance, prefix, args)
    return None


def insufficient(prefix: str) -> SqlError:
    """The error for a range that capture does not cover. Its message ends in literal dots (shown in
    apache/flink-cdc#2354 and #1291)."""
    return SqlError(
        313, f"An insufficient number of arguments were supplied for the procedure or function cdc.{prefix}... ."
    )


def _changes(session: SqlSession, instance: CaptureInstance, prefix: str, args: Sequence[Ex]) -> FunctionTable:
    if len(args) != 3:
        raise SqlError(
            313,
            "An insufficient number of arguments were supplied for the procedure or function "
            f"cdc.{prefix}{instance.name}.",
        )
    rights.require_capture(session, instance)
    low, high, option = cast_sql(args[0], names.LSN), cast_sql(args[1], names.LSN), args[2].sql
    options = ("all", "all update old") if prefix == _ALL else ("all", "all with mask", "all with merge")
    lowest = f"ask('fn_cdc_get_min_lsn','{instance.name.replace(chr(39), chr(39) * 2)}')"
    check = fn(
        ("cdc_range", prefix, options),
        lambda: _range_check(prefix, options),
        low,
        high,
        option,
        lowest,
        "ask('fn_cdc_get_max_lsn')",
    )
    source = _source(instance)
    build = _all_changes if prefix == _ALL else _net_changes
    sql = build(instance, source, low, high, option, check)
    table = instance.table
    hidden = {END_LSN, instance.command_column}
    columns = tuple((c.name, c.type) for c in table.columns if c.id not in hidden)
    if prefix == _NET:
        columns = tuple((n, t) for n, t in columns if n != "__$seqval")
    # Check the range even if there are no rows.
    guard = f"SELECT {', '.join('NULL' for _ in columns)} WHERE {check}<>1"
    return FunctionTable(f"{sql} UNION ALL {guard}", columns, (table.id,))


def _source(instance: CaptureInstance) -> str:
    table = instance.table
    return f"(SELECT * FROM {mark(table.id)} WHERE {table.filter})" if table.filter else mark(table.id)


def _range_check(prefix: str, options: tuple[str, ...]) -> Callable[..., int]:
    def check(
        low: bytes | None, high: bytes | None, option: str | None, lowest: bytes | None, highest: bytes | None
    ) -> int:
        if low is None or high is None or option is None or lowest is None or highest is None:
            raise insufficient(prefix)
        if option.lower().rstrip() not in options or low < lowest or high > highest or low > high or lowest == lsn.ZERO:
            raise insufficient(prefix)
        return 1

    return check


def _all_changes(instance: CaptureInstance, source: str, low: str, high: str, option: str, check: str) -> str:
    hidden = {END_LSN, instance.command_column}
    shown = [c.id for c in instance.table.columns if c.id not in hidden]
    columns = ", ".join(f"c{c} AS k{i}" for i, c in enumerate(shown))
    return (
        f"SELECT {columns} FROM {source} WHERE {check} AND c1>={low} AND c1<={high} "
        f"AND (c4<>3 OR lower(rtrim({option}))='all update old')"
    )


def _net_changes(instance: CaptureInstance, source: str, low: str, high: str, option: str, check: str) -> str:
    """One row per key: the last state. A row that was inserted and deleted again gives none."""
    by_name = {c.name.lower(): c for c in instance.columns}
    keys = [by_name[k.lower()] for k in instance.key]
    partition = ", ".join(
        f"c{k.table_id}" + (f" COLLATE {collation_for(k.type.collation)}" if k.type.name in names.CHARACTER else "")
        for k in keys
    )
    order = f"c1, c{instance.command_column}, c3, c4"
    hidden = {END_LSN, 3, 4, 5, instance.command_column}
    shown = [c.id for c in instance.table.columns if c.id not in hidden]
    data = ", ".join(f"c{c} AS k{i + 2}" for i, c in enumerate(shown[1:], 1))
    option_is = f"lower(rtrim({option}))"
    operation = f"CASE WHEN last_op=1 THEN 1 WHEN {option_is}='all with merge' THEN 5 WHEN first_op=2 THEN 2 ELSE 4 END"
    union = fn(("mask_union",), lambda: _union_masks, "masks")
    mask = f"CASE WHEN {option_is}='all with mask' AND {operation}=4 THEN {union} END"
    return (
        f"SELECT c1 AS k0, {operation} AS k1, {mask} AS k2, {data} FROM ("
        f"SELECT *, row_number() OVER (PARTITION BY {partition} ORDER BY c1 DESC, "
        f"c{instance.command_column} DESC, c3 DESC, c4 DESC) AS place, "
        f"c4 AS last_op, first_value(c4) OVER (PARTITION BY {partition} ORDER BY {order} "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS first_op, "
        f"group_concat(CASE WHEN c4=4 THEN hex(c5) END) OVER (PARTITION BY {partition} ORDER BY {order} "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS masks "
        f"FROM {source} WHERE {check} AND c1>={low} AND c1<={high} AND c4<>3) WHERE place=1 AND NOT "
        "(first_op=2 AND last_op=1)"
    )


def _union_masks(masks: str | None) -> bytes | None:
    if not masks:
        return None
    parts = [bytes.fromhex(m) for m in masks.split(",")]
    value = 0
    for part in parts:
        value |= int.from_bytes(part, "big")
    return value.to_bytes(len(parts[0]), "big")

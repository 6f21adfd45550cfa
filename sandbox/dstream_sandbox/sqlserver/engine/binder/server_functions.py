"""Functions about the server, its sessions and its catalog, and the CDC functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.binder.casts import cast_sql
from dstream_sandbox.sqlserver.engine.binder.expression import Ex, f1, f2, fn
from dstream_sandbox.sqlserver.engine.cdc import lsn
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.values import SqlType

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.binder.functions import FunctionBinder

Compile = Callable[["FunctionBinder", nodes.Call], Ex]


def _session(value: str) -> Compile:
    return lambda binder, node: binder.session_value(value)


def _catalog(type_: SqlType) -> Compile:
    """Compile a metadata function, which the session answers when the row is computed."""

    def compile_call(binder: FunctionBinder, node: nodes.Call) -> Ex:
        args = [binder.value(a) for a in node.args]
        parts = [_plain(a) for a in args]
        name = node.name[-1]
        return Ex(f"ask({','.join((repr(name), *parts))})", type_)

    return compile_call


def _plain(ex: Ex) -> str:
    """Return SQL that gives integers unchanged and other values as text."""
    if ex.type is None or ex.type.name in names.INTEGERS or ex.type.name in names.CHARACTER or ex.type.name == "bit":
        return ex.sql
    return cast_sql(ex, names.NVARCHAR_MAX)


def _db_name(binder: FunctionBinder, node: nodes.Call) -> Ex:
    return _catalog(names.SYSNAME)(binder, node) if node.args else binder.session_value("database")


def _db_id(binder: FunctionBinder, node: nodes.Call) -> Ex:
    return _catalog(names.SMALLINT)(binder, node) if node.args else binder.session_value("database_id")


def _server_property(binder: FunctionBinder, node: nodes.Call) -> Ex:
    return _catalog(names.VARIANT)(binder, node)


# CDC (Microsoft Learn, "Change data capture functions (Transact-SQL)")


def _increment(step: int) -> Compile:
    def compile_call(binder: FunctionBinder, node: nodes.Call) -> Ex:
        value = cast_sql(binder.value(node.args[0]), names.LSN)
        return Ex(f1(("lsn", step), lambda: lambda v: lsn.moved(v, step), value), names.LSN)

    return compile_call


def _min_lsn(binder: FunctionBinder, node: nodes.Call) -> Ex:
    name = binder.value(node.args[0])
    return Ex(f"ask('fn_cdc_get_min_lsn',{name.sql})", names.LSN)


def _max_lsn(binder: FunctionBinder, node: nodes.Call) -> Ex:
    return Ex("ask('fn_cdc_get_max_lsn')", names.LSN)


def _lsn_to_time(binder: FunctionBinder, node: nodes.Call) -> Ex:
    value = cast_sql(binder.value(node.args[0]), names.LSN)
    return Ex(f"ask('fn_cdc_map_lsn_to_time',{value})", names.DATETIME)


def _time_to_lsn(binder: FunctionBinder, node: nodes.Call) -> Ex:
    operator, when = binder.value(node.args[0]), cast_sql(binder.value(node.args[1]), names.DATETIME)
    return Ex(f"ask('fn_cdc_map_time_to_lsn',{operator.sql},{when})", names.LSN)


def _is_bit_set(binder: FunctionBinder, node: nodes.Call) -> Ex:
    position, mask = cast_sql(binder.value(node.args[0]), names.INT), binder.value(node.args[1]).sql
    return Ex(f2("bit_set", lambda: lsn.is_bit_set, position, mask), names.BIT)


def _column_ordinal(binder: FunctionBinder, node: nodes.Call) -> Ex:
    instance, column = binder.value(node.args[0]), binder.value(node.args[1])
    return Ex(f"ask('fn_cdc_get_column_ordinal',{instance.sql},{column.sql})", names.INT)


def _has_changed(binder: FunctionBinder, node: nodes.Call) -> Ex:
    ordinal = _column_ordinal(binder, node).sql
    mask = binder.value(node.args[2]).sql
    return Ex(f2("bit_set", lambda: lsn.is_bit_set, ordinal, mask), names.BIT)


def database_function(binder: FunctionBinder, node: nodes.Call) -> Ex | None:
    """Compile a user-defined scalar function; the sandbox has none."""
    return None


def _formatmessage(binder: FunctionBinder, node: nodes.Call) -> Ex:
    from dstream_sandbox.sqlserver.engine.message_format import format_message

    args = [binder.value(a) for a in node.args]
    return Ex(
        fn("formatmessage", lambda: format_message, *(a.sql for a in args)),
        SqlType("nvarchar", 2048, collation=names.DEFAULT_COLLATION),
    )


_INT = _catalog(names.INT)
_NAME = _catalog(names.SYSNAME)

FUNCTIONS: dict[str, Compile] = {
    "scope_identity": _session("scope_identity"),
    "rowcount_big": _session("rowcount_big"),
    "suser_sname": _session("login"),
    "suser_name": _session("login"),
    "original_login": _session("login"),
    "system_user": _session("login"),
    "user": _session("user"),
    "user_name": _session("user"),
    "current_user": _session("user"),
    "session_user": _session("user"),
    "host_name": _session("host"),
    "app_name": _session("app"),
    "xact_state": _session("xact_state"),
    "error_number": _session("error_number"),
    "error_message": _session("error_message"),
    "error_severity": _session("error_severity"),
    "error_state": _session("error_state"),
    "error_line": _session("error_line"),
    "error_procedure": _session("error_procedure"),
    "current_transaction_id": _session("transaction_id"),
    "db_name": _db_name,
    "db_id": _db_id,
    "object_id": _INT,
    "object_name": _NAME,
    "object_schema_name": _NAME,
    "schema_name": _NAME,
    "schema_id": _INT,
    "type_name": _NAME,
    "type_id": _INT,
    "col_name": _NAME,
    "col_length": _catalog(names.SMALLINT),
    "columnproperty": _INT,
    "objectproperty": _INT,
    "objectpropertyex": _server_property,
    "indexproperty": _INT,
    "index_col": _NAME,
    "indexkey_property": _INT,
    "typeproperty": _INT,
    "ident_current": _catalog(SqlType("numeric", None, 18, 0)),
    "ident_seed": _catalog(SqlType("numeric", None, 18, 0)),
    "ident_incr": _catalog(SqlType("numeric", None, 18, 0)),
    "serverproperty": _server_property,
    "sessionproperty": _server_property,
    "databasepropertyex": _server_property,
    "connectionproperty": _server_property,
    "collationproperty": _server_property,
    "has_perms_by_name": _INT,
    "is_member": _INT,
    "is_rolemember": _INT,
    "is_srvrolemember": _INT,
    "has_dbaccess": _INT,
    "suser_id": _INT,
    "suser_sid": _catalog(SqlType("varbinary", 85)),
    "user_id": _INT,
    "database_principal_id": _INT,
    "object_definition": _catalog(names.NVARCHAR_MAX),
    "formatmessage": _formatmessage,
    "fn_cdc_increment_lsn": _increment(1),
    "fn_cdc_decrement_lsn": _increment(-1),
    "fn_cdc_get_min_lsn": _min_lsn,
    "fn_cdc_get_max_lsn": _max_lsn,
    "fn_cdc_map_lsn_to_time": _lsn_to_time,
    "fn_cdc_map_time_to_lsn": _time_to_lsn,
    "fn_cdc_is_bit_set": _is_bit_set,
    "fn_cdc_get_column_ordinal": _column_ordinal,
    "fn_cdc_has_column_changed": _has_changed,
    "fn_varbintohexstr": lambda binder, node: Ex(
        f1("hexstr", lambda: lambda v: "0x" + v.hex(), binder.value(node.args[0]).sql), names.NVARCHAR_MAX
    ),
}

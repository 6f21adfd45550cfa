"""SQL Server's errors, with its numbers and wording (sys.messages)."""

from __future__ import annotations

from dstream_sandbox.sqlserver.session import SqlError

UNSUPPORTED = 40515


def unsupported(what: str) -> SqlError:
    """The error for what the sandbox does not implement: it refuses instead of giving a wrong answer."""
    return SqlError(UNSUPPORTED, f"The sandbox does not support {what}.")


def invalid_object(name: str) -> SqlError:
    return SqlError(208, f"Invalid object name '{name}'.")


def invalid_column(name: str) -> SqlError:
    return SqlError(207, f"Invalid column name '{name}'.")


def unbound_identifier(name: str) -> SqlError:
    return SqlError(4104, f'The multi-part identifier "{name}" could not be bound.')


def ambiguous_column(name: str) -> SqlError:
    return SqlError(209, f"Ambiguous column name '{name}'.")


def undeclared_variable(name: str) -> SqlError:
    return SqlError(137, f'Must declare the scalar variable "{name}".', severity=15)


def unknown_function(name: str) -> SqlError:
    return SqlError(195, f"'{name}' is not a recognized built-in function name.", severity=15)


def missing_procedure(name: str) -> SqlError:
    return SqlError(2812, f"Could not find stored procedure '{name}'.", state=62)


def not_boolean(near: str) -> SqlError:
    text = f"An expression of non-boolean type specified in a context where a condition is expected, near '{near}'."
    return SqlError(4145, text, severity=15)


def not_grouped(name: str) -> SqlError:
    text = (
        f"Column '{name}' is invalid in the select list because it is not contained in either an aggregate function or "
        "the GROUP BY clause."
    )
    return SqlError(8120, text)


def argument_count(name: str, count: str) -> SqlError:
    return SqlError(174, f"The {name} function requires {count} argument(s).", severity=15)


def permission_denied(permission: str, name: str, database: str, schema: str) -> SqlError:
    text = f"The {permission} permission was denied on the object '{name}', database '{database}', schema '{schema}'."
    return SqlError(229, text, severity=14, state=5)

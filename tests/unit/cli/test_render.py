"""How errors are printed: message and code, the place with its line, and the fix. Several errors form a column."""

from __future__ import annotations

import io

from dstream.cli.render import show_errors
from dstream.errors import ConfigError, ConfigErrors, DStreamError, SourceLocation


def shown(error: DStreamError | ConfigErrors) -> str:
    stream = io.StringIO()
    show_errors(error, stream)
    return stream.getvalue()


def test_an_error_shows_code_place_line_and_fix() -> None:
    place = SourceLocation("dstream.hcl", 9, 7, '      tables = ["dbo.Orders"]', 'task "orders", input')
    error = ConfigError(
        "mssql.cdc_disabled",
        'change data capture is not enabled in database "Sales"',
        place=place,
        hint="Enable it as db_owner:\n    EXEC sys.sp_cdc_enable_db;",
    )
    assert shown(error) == (
        'Error: change data capture is not enabled in database "Sales"   [mssql.cdc_disabled]\n'
        '  dstream.hcl:9:7  task "orders", input\n'
        '      9 │       tables = ["dbo.Orders"]\n'
        "  Enable it as db_owner:\n"
        "      EXEC sys.sp_cdc_enable_db;\n"
    )


def test_the_line_of_the_file_is_shown_without_secrets() -> None:
    place = SourceLocation("dstream.hcl", 3, 5, '  password = "hunter2"')
    assert "hunter2" not in shown(ConfigError("config.type", "wrong", place=place))


def test_several_errors_are_listed_and_counted() -> None:
    errors = ConfigErrors(
        [
            ConfigError("config.type", "one thing", place=SourceLocation("dstream.hcl", 7, 7), hint="Do this."),
            ConfigError("config.type", "another thing.", place=SourceLocation("dstream.hcl", 14, 15)),
        ]
    )
    assert shown(errors) == (
        "dstream.hcl:7:7    one thing. Do this.\ndstream.hcl:14:15  another thing.\n2 errors in 1 file.\n"
    )


def test_a_single_error_in_a_group_is_shown_as_one_error() -> None:
    error = ConfigError("config.file", "gone")
    assert shown(ConfigErrors([error])) == shown(error)

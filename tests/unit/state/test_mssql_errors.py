"""Which errors of SQL Server a run waits out, and which end it."""

from __future__ import annotations

from unittest.mock import MagicMock

import pyodbc
import pytest

from dstream.errors import AuthError, ConfigError, DStreamError, SystemFault, UnreachableError
from dstream.odbc import plain_message
from dstream.state._mssql import MssqlDatabase

_DRIVER = "[Microsoft][ODBC Driver 18 for SQL Server]"
_NO_DATABASE = f'[28000] {_DRIVER}[SQL Server]Login failed for user "u". (18456); [28000] Cannot open database. (4060)'
_AWAY = f"[HY000] {_DRIVER}[SQL Server]Database 'd' on server 's' is not currently available. (40613)"


@pytest.mark.parametrize(
    ("state", "text", "has_connected", "kind"),
    [
        ("HY000", _AWAY, False, UnreachableError),
        ("HY000", _AWAY, True, UnreachableError),
        ("08S01", f"[08S01] {_DRIVER}TCP Provider: Error code 0x68 (104) (SQLExecDirectW)", True, UnreachableError),
        ("HYT00", f"[HYT00] {_DRIVER}Login timeout expired (0) (SQLDriverConnect)", False, UnreachableError),
        (
            "42000",
            f"[42000] {_DRIVER}[SQL Server]Lock request time out period exceeded. (1222)",
            True,
            UnreachableError,
        ),
        ("28000", _NO_DATABASE, False, ConfigError),
        ("28000", _NO_DATABASE, True, UnreachableError),  # it is failing over
        ("28000", f"[28000] {_DRIVER}[SQL Server]Login failed for user 'u'. (18456)", False, AuthError),
        ("42000", f"[42000] {_DRIVER}[SQL Server]The UPDATE permission was denied. (229)", True, AuthError),
        ("42S22", f"[42S22] {_DRIVER}[SQL Server]Invalid column name 'fence'. (207)", True, SystemFault),
    ],
)
def test_a_database_that_is_away_for_a_while_is_unavailable(
    state: str, text: str, kind: type[DStreamError], monkeypatch: pytest.MonkeyPatch, *, has_connected: bool
) -> None:
    database = MssqlDatabase("Server=localhost;Database=d", allow_plaintext=False)
    failing = MagicMock(side_effect=pyodbc.Error(state, text))
    if has_connected:
        monkeypatch.setattr(pyodbc, "connect", lambda *_, **__: MagicMock())
        with database.cursor():
            pass
        database.close()
    monkeypatch.setattr(pyodbc, "connect", failing)
    with pytest.raises(kind) as caught, database.cursor():
        pass
    assert type(caught.value) is kind
    if kind in (UnreachableError, SystemFault):
        assert caught.value.message.endswith(f"{plain_message(text)} (SQLSTATE {state})")

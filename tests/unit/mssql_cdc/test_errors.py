from __future__ import annotations

import pytest
from dstream_mssql_cdc.errors import ReadInterrupted, translate
from dstream_mssql_cdc.server.backoff import Backoff

from dstream.sdk.errors import AuthError, ConfigError, DStreamError, SystemFault, UnreachableError

_DRIVER = "[Microsoft][ODBC Driver 18 for SQL Server]"
_LOGIN = f"[28000] {_DRIVER}[SQL Server]Login failed for user 'r'. (18456) (SQLDriverConnect)"
_DATABASE = f'{_DRIVER}[SQL Server]Cannot open database "X" requested by the login. The login failed. (4060)'
_ATTRIBUTE = "Invalid value specified for connection string attribute 'TrustServerCertificate' (0)"


@pytest.mark.parametrize(
    ("state", "text", "connected", "kind", "code"),
    [
        ("28000", _LOGIN, False, AuthError, "login_failed"),
        ("28000", f"{_LOGIN}; [28000] {_DATABASE}", False, AuthError, "unknown_database"),
        ("42000", f"[42000] {_DATABASE}", True, ReadInterrupted, "interrupted"),
        ("40001", f"[40001] {_DRIVER}[SQL Server]Deadlock victim (1205)", True, ReadInterrupted, "interrupted"),
        ("08S01", f"[08S01] {_DRIVER}TCP Provider: reset (104)", True, ReadInterrupted, "interrupted"),
        ("HYT00", f"[HYT00] {_DRIVER}Query timeout expired (0)", True, ReadInterrupted, "interrupted"),
        ("HYT00", f"[HYT00] {_DRIVER}Login timeout expired (0)", False, UnreachableError, "unreachable"),
        ("08001", f"[08001] {_DRIVER}SSL Provider: [certificate verify failed] (-1)", False, ConfigError, "tls"),
        ("08001", f"[08001] {_DRIVER}{_ATTRIBUTE}", False, ConfigError, "connection_string"),
        ("FA003", f"[FA003] {_DRIVER}[SQL Server]Both User and Password (0)", False, ConfigError, "connection_string"),
        ("01000", "[01000] [unixODBC][Driver Manager]Can't open lib 'x' (0)", False, ConfigError, "driver_missing"),
        ("42000", f"[42000] {_DRIVER}[SQL Server]SELECT was denied. (229)", True, AuthError, "no_grant"),
        (
            "42S02",
            f"[42S02] {_DRIVER}[SQL Server]Invalid name 'cdc.x_CT'. (208)",
            True,
            ReadInterrupted,
            "schema_changed",
        ),
        (
            "42S22",
            f"[42S22] {_DRIVER}[SQL Server]Invalid column name 'Share (20)'. (207) (SQLPrepare)",
            True,
            ReadInterrupted,
            "schema_changed",
        ),
        ("42000", f"[42000] {_DRIVER}[SQL Server]Incorrect syntax near 'x'. (102)", True, SystemFault, "query_failed"),
        ("42000", f"[42000] {_DRIVER}[SQL Server]The service is busy (40501)", False, ReadInterrupted, "interrupted"),
    ],
)
def test_a_sql_server_error_maps_to_a_kind_and_a_code(
    state: str, text: str, connected: bool, kind: type[DStreamError], code: str
) -> None:
    error = translate(Exception(state, text), login="r", database="X", connected=connected)
    assert (type(error), error.code) == (kind, f"mssql.{code}")
    assert "[Microsoft]" not in error.message
    assert isinstance(error, (ReadInterrupted, SystemFault)) or error.hint


@pytest.mark.parametrize(
    ("schema", "table", "grant"),
    [
        ("dbo", "cdc_offsets", "GRANT SELECT ON [dbo].[cdc_offsets] TO [r];"),
        ("sales", "Order]s", "GRANT SELECT ON [sales].[Order]]s] TO [r];"),
        ("cdc", "dbo_Orders_CT", "GRANT SELECT ON SCHEMA::cdc TO [r];"),
    ],
)
def test_a_missing_permission_is_granted_on_what_was_denied(schema: str, table: str, grant: str) -> None:
    denied = f"The SELECT permission was denied on the object '{table}', database 'X', schema '{schema}'. (229)"
    error = translate(Exception("42000", f"[42000] {_DRIVER}[SQL Server]{denied}"), login="r", connected=True)
    assert grant in error.hint


def test_waits_double_up_to_a_limit_and_then_the_error_is_raised() -> None:
    now = [0.0]
    backoff = Backoff(clock=lambda: now[0], chance=lambda: 1.0)
    cause = ReadInterrupted("mssql.interrupted", "gone")
    waits = []
    while now[0] < 600:
        waits.append(backoff.next_wait_s(cause))
        now[0] += waits[-1]
    assert waits[:7] == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    now[0] = 601
    with pytest.raises(UnreachableError):
        backoff.next_wait_s(cause)


@pytest.mark.parametrize("connects", [True, False])
def test_waiting_for_an_answer_is_no_quiet_period(connects: bool) -> None:
    """Neither is waiting for a connection. Otherwise, a query that never ends would be retried for ever."""
    now = [0.0]
    backoff = Backoff(clock=lambda: now[0], chance=lambda: 0.0)
    cause = ReadInterrupted("mssql.interrupted", "Query timeout expired")
    for _ in range(5):
        now[0] += backoff.next_wait_s(cause)
        if connects:
            backoff.connected()
            cause.awaited_s = 120.0
        now[0] += 121.0
    with pytest.raises(UnreachableError):
        backoff.next_wait_s(cause)


@pytest.mark.parametrize("code", ["mssql.login_failed", "mssql.sign_in_failed"])
def test_a_refused_login_that_has_worked_is_retried_a_few_times(code: str) -> None:
    backoff = Backoff(clock=lambda: 0.0, chance=lambda: 0.0)
    refused = AuthError(code, "Login failed for user 'r'.")
    for _ in range(3):
        backoff.next_wait_s(refused)
    with pytest.raises(AuthError):
        backoff.next_wait_s(refused)


def test_a_missing_permission_is_not_retried() -> None:
    with pytest.raises(AuthError):
        Backoff().next_wait_s(AuthError("mssql.no_grant", "no SELECT"))


def test_a_column_that_stays_invalid_is_final() -> None:
    backoff = Backoff(clock=lambda: 0.0, chance=lambda: 0.0)
    for name in ("a", "b"):
        backoff.next_wait_s(ReadInterrupted("mssql.schema_changed", f"Invalid column name '{name}'."))
    for _ in range(2):
        backoff.next_wait_s(ReadInterrupted("mssql.schema_changed", "Invalid column name 'a'."))
    with pytest.raises(SystemFault):
        backoff.next_wait_s(ReadInterrupted("mssql.schema_changed", "Invalid column name 'a'."))


def test_each_attempt_to_connect_may_take_longer_until_a_quiet_period() -> None:
    now = [0.0]
    backoff = Backoff(clock=lambda: now[0], chance=lambda: 0.0)
    cause = ReadInterrupted("mssql.interrupted", "gone")
    timeouts = []
    for _ in range(3):
        backoff.next_wait_s(cause)
        timeouts.append(backoff.login_timeout_s)
        backoff.failed_to_connect()
    backoff.connected()
    now[0] = 100.0
    backoff.next_wait_s(cause)
    assert [*timeouts, backoff.login_timeout_s] == [8, 16, 32, 8]


@pytest.mark.parametrize(
    "number",
    [
        *(615, 617, 669, 701, 802, 921, 926, 941, 976, 978, 979, 982, 983, 988, 1203, 1204, 1205, 1221, 3948, 3966),
        *(4221, 8628, 8645, 8651, 10922, 10930, 10936, 17197, 40613, 49918),
    ],
)
@pytest.mark.parametrize("connected", [True, False])
def test_passing_faults_of_the_server_are_retried(number: int, connected: bool) -> None:
    error = translate(Exception("42000", f"[42000] {_DRIVER}[SQL Server]Not now. ({number})"), connected=connected)
    assert type(error) is ReadInterrupted
    assert ("read_only_intent" in error.hint) == (number == 978)


def test_a_query_that_takes_too_long_names_the_setting() -> None:
    error = translate(Exception("HYT00", f"[HYT00] {_DRIVER}Query timeout expired (0)"), connected=True)
    assert "query_timeout" in error.hint


def test_waits_start_over_after_a_quiet_period() -> None:
    now = [0.0]
    backoff = Backoff(clock=lambda: now[0], chance=lambda: 0.0)
    cause = ReadInterrupted("mssql.interrupted", "gone")
    assert [backoff.next_wait_s(cause) for _ in range(3)] == [0.25, 0.5, 1.0]
    backoff.connected()
    now[0] = 100.0
    assert backoff.next_wait_s(cause) == 0.25

from __future__ import annotations

import pytest
from dstream_mssql_cdc.server.connection_string import parse_connection_string
from hypothesis import given, settings
from hypothesis import strategies as st

from dstream.sdk.errors import ConfigError


def keywords(text: str) -> dict[str, str]:
    return dict(parse_connection_string(text).keywords)


def test_the_original_form_is_accepted() -> None:
    assert keywords("server=localhost,1433;user id=reader;password=Sample;database=Fleet;encrypt=disable") == {
        "SERVER": "localhost,1433",
        "UID": "reader",
        "PWD": "Sample",
        "DATABASE": "Fleet",
        "Encrypt": "no",
    }


def test_a_separate_port_is_added_to_the_server() -> None:
    assert keywords("Server=db;Port=1500;Database=A")["SERVER"] == "db,1500"


def test_a_url_with_escapes_instance_and_options_is_accepted() -> None:
    assert keywords("sqlserver://re%40der:p%3Bw%7D@db.example.com:1500/INST?database=Sales&encrypt=true") == {
        "SERVER": "db.example.com\\INST,1500",
        "UID": "re@der",
        "PWD": "p;w}",
        "DATABASE": "Sales",
        "Encrypt": "yes",
    }


def test_the_odbc_form_passes_through_and_extra_keywords_win() -> None:
    settings = parse_connection_string("Server=tcp:db,1433;Database=S;UID=u;PWD={a;b}}c};Encrypt=strict;Driver=x")
    assert settings.odbc(DRIVER="/lib/driver.so", ApplicationIntent="ReadOnly") == (
        "DRIVER=/lib/driver.so;ApplicationIntent=ReadOnly;SERVER=tcp:db,1433;DATABASE=S;UID=u;PWD={a;b}}c};Encrypt=strict"
    )


@settings(deadline=None)
@given(st.text(min_size=1).filter(lambda text: text == text.strip()))
def test_any_password_survives_a_round_trip(password: str) -> None:
    text = parse_connection_string("server=db;database=S;password={" + password.replace("}", "}}") + "}").odbc()
    assert keywords(text)["PWD"] == password


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("server=db;database=S;passwrd=hunter2", 'Did you mean "password"'),
        ("database=S;uid=u;pwd=hunter2", "has no server"),
        ("server=db;uid=u;pwd=hunter2", "has no database"),
        ("server=db;database=S;pwd=hun;ter2", "has no ="),
        ("server=db;database=S;pwd={hunter2", "no closing }"),
        ("server=db;database=S;encrypt=hunter2", "Encrypt"),
        ("sqlserver://u:hunter2@db:port/?database=S", "URL"),
    ],
)
def test_an_error_names_the_problem_but_never_the_password(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_connection_string(text)
    shown = f"{caught.value.message} {caught.value.hint}"
    assert says in shown
    assert "hunter2" not in shown
    assert "ter2" not in shown
    assert caught.value.config_path == "db_connection_string"


def test_the_password_is_not_in_the_repr() -> None:
    assert "hunter2" not in repr(parse_connection_string("server=db;database=S;pwd=hunter2"))

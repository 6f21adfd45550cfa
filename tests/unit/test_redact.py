"""Secrets are redacted in every text, by value, by shape or by name, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dstream.errors import ConfigError, SourceLocation
from dstream.redact import MASK, Redactor, environment_secrets, is_secret_name, source_line

CONNECTION = "Server=db1,1433;Database=Sales;User Id=reader;Password=p@ss word{1};Encrypt=yes"
SAS = "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=abc+/def==;EntityPath=q"


@given(st.text(min_size=4, max_size=30), st.text(max_size=20), st.text(max_size=20))
def test_a_marked_secret_never_remains_in_a_text(secret: str, before: str, after: str) -> None:
    clean = Redactor([secret]).text(before + secret + after)
    assert secret not in clean or secret in MASK or secret in before + MASK + after


@pytest.mark.parametrize("secret", ["1", "dev"])
def test_a_short_secret_is_hidden_only_as_a_whole_value(secret: str) -> None:
    redactor = Redactor([secret])
    assert redactor.text(f"10:12:11 {secret} rows in develop") == f"10:12:11 {secret} rows in develop"
    assert redactor.value({"a": [secret, f"{secret} x"]}) == {"a": [MASK, f"{secret} x"]}


def test_a_secret_number_is_hidden() -> None:
    assert Redactor(["73551", "7"]).value({"a": [73551, 7, 73, True]}) == {"a": [MASK, MASK, 73, True]}


@pytest.mark.parametrize(
    ("text", "hidden", "kept"),
    [
        (f"can't log in with {CONNECTION}", "p@ss word{1}", "Database=Sales"),
        (f"link to {SAS} lost", "abc+/def==", "SharedAccessKeyName=Root"),
        ("the driver got 'p@ss word{1}'", "p@ss word{1}", "the driver got"),
        ("quoted: " + json.dumps("p@ss word{1}"), "p@ss word{1}", "quoted"),
        ("url p%40ss%20word%7B1%7D", "p%40ss%20word%7B1%7D", "url"),
    ],
)
def test_secret_parts_of_config_strings_are_hidden_in_any_form(text: str, hidden: str, kept: str) -> None:
    clean = Redactor(configs=[{"database": CONNECTION, "bus": SAS}]).text(text)
    assert hidden not in clean
    assert kept in clean


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Password=unknown1;x", "unknown1"),
        ("pwd={a;b};x", "a;b"),
        ("SharedAccessSignature sr=sb&sig=abc%2Bdef&se=1", "abc%2Bdef"),
        ("AccountKey=qwertz==;x", "qwertz=="),
        ("sqlserver://sa:s3cret@host/db", "s3cret"),
        ("password = unknown1", "unknown1"),
    ],
)
def test_known_shapes_are_hidden_without_a_mark(text: str, hidden: str) -> None:
    clean = Redactor().text(text)
    assert hidden not in clean
    assert MASK in clean


@pytest.mark.parametrize(
    "name",
    [
        "connection_string",
        "db_connection_string",
        "connectionString",
        "password",
        "dbPassword",
        "client_secret",
        "token",
        "sasToken",
        "key",
        "access_key",
        "accountKey",
        "API_KEY",
    ],
)
def test_secret_names_are_detected(name: str) -> None:
    assert is_secret_name(name)
    assert Redactor().value({name: "abc"}) == {name: MASK}


@pytest.mark.parametrize("name", ["partition_key", "tables", "keyboard", "messageKey", "sessions", "monkey", "queue"])
def test_other_names_are_not_secret(name: str) -> None:
    assert not is_secret_name(name)
    assert Redactor().value({name: "abc"}) == {name: "abc"}


def test_values_of_secret_fields_are_hidden_elsewhere() -> None:
    redactor = Redactor(configs=[{"auth": [{"token": "t0k3n-value"}], "queue": "orders"}])
    assert redactor.text("got t0k3n-value for orders") == f"got {MASK} for orders"


def test_a_multi_line_secret_is_hidden_line_by_line() -> None:
    pem = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----"
    redactor = Redactor([pem])
    assert "kqhkiG9w0BAQEF" not in redactor.text("line 3 is kqhkiG9w0BAQEF")


def test_nested_values_and_keys_are_redacted() -> None:
    redactor = Redactor(["s3cret"])
    assert redactor.value({"a": [{"b s3cret": "x s3cret"}, 1, None, True]}) == {
        "a": [{f"b {MASK}": f"x {MASK}"}, 1, None, True]
    }


@pytest.mark.parametrize(
    "show", [json.dumps, repr, lambda text: json.dumps(json.dumps(text)), lambda text: repr([repr(text)])]
)
def test_a_quoted_or_escaped_secret_is_hidden(show: Callable[[str], str]) -> None:
    secret = 'Zq7 "x" \\ é'
    assert "Zq7" not in Redactor([secret]).text(f"config: {show(secret)}")


def test_a_state_can_contain_column_names_but_no_secrets() -> None:
    redactor = Redactor(
        ['marked "secret"'], [{"key": "CustomerId", "db": CONNECTION, "auth": {"tokens": ["to-k-en-1"]}}]
    )
    for stored in ('marked "secret"', "p@ss word{1}", "to-k-en-1"):
        assert redactor.is_in(json.dumps({"position": f"x{stored}y"}).encode())
    assert not redactor.is_in(b'{"column":"CustomerId","database":"Sales"}')


def test_a_value_of_any_depth_is_redacted_or_truncated() -> None:
    value: Any = "s3cret"
    for _ in range(800):
        value = {"a": [value]}
    assert "s3cret" not in json.dumps(Redactor(["s3cret"]).value(value))


def test_every_text_of_an_error_is_redacted() -> None:
    place = SourceLocation("dstream.hcl", 3, source_line='pin = "s3cret"')
    error = ConfigError("x.y", "bad s3cret", hint="use s3cret", details=["s3cret"], place=place)
    clean = Redactor(["s3cret"]).error(error)
    assert "s3cret" not in repr((clean.message, clean.hint, clean.details, clean.args, str(clean), clean.place))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('  password = "hunter2"', '  password = "***"'),
        ('  keys { secret_key: ["a1", "b2"] }', '  keys { secret_key: ["***", "***"] }'),
        ('  keys { secret_key = "a1", queue = "q" }', '  keys { secret_key = "***", queue = "q" }'),
        ('  a = { "token": "a1" }, b = "b2"', '  a = { "token": "***" }, b = "b2"'),
        ('  tokens = { a = "a1", b = ["b2"] }', '  tokens = { a = "***", b = ["***"] }'),
        ('  keys { password = env("X") }', '  keys { password = env("X") }'),
        ("  keys { password = hunter2, a = 1 }", "  keys { password = *** a = 1 }"),
        ('  auth { token = "a1" } # of "b2"', '  auth { token = "***" } # of "b2"'),
        ('  password = "a token = b2"', '  password = "***"'),
        ('  note = "the token = b2"', '  note = "the token = b2"'),
        ("  url = sqlserver://sa:hunter2@host/db", "  url = sqlserver://sa:***@host/db"),
        ('  api_tokens = ["a1", "b2"]', '  api_tokens = ["***", "***"]'),
        ('  token = ["a1", "b2"]', '  token = ["***", "***"]'),
        ('  db_connection_string = env("SQL")', '  db_connection_string = env("SQL")'),
        ('  x = "Server=a;PWD=hunter2;b"', '  x = "Server=a;PWD=***;b"'),
        ('  password = env("SQL")', '  password = env("SQL")'),
        ('  password = upppper("hunter2")', '  password = upppper("***")'),
        ('  password = join("", ["hun", env("X")])', '  password = join("***", ["***", env("X")])'),
        ('  password = var.x + "hunter2"', '  password = *** + "***"'),
        ('  password = "hunter2', '  password = "***"'),
        ("Password=hunter2;", "Password=***;"),
        ('  queue = "orders dev"', '  queue = "orders dev"'),
    ],
)
def test_a_line_of_the_configuration_is_shown_without_secrets(line: str, shown: str) -> None:
    assert source_line(line) == shown


def one_line(secret: bool) -> st.SearchStrategy[str]:
    """A value as HCL on one line. Its texts are "Zq7" if it is secret, otherwise "plain"."""
    text = st.just('"Zq7"' if secret else '"plain"')
    return st.recursive(
        text,
        lambda inner: st.lists(inner, min_size=1, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        max_leaves=4,
    ) | st.lists(settings_of(secret), min_size=1, max_size=3).map(lambda each: f"{{ {', '.join(each)} }}")


def settings_of(secret: bool) -> st.SearchStrategy[str]:
    names = st.sampled_from(["password", "api_key", '"token"', "queue", '"size"', "partition_key"])
    signs = st.sampled_from([" = ", ": ", "="])
    return st.deferred(
        lambda: names.flatmap(
            lambda name: st.builds(
                lambda sign, value: f"{name}{sign}{value}", signs, one_line(secret or is_secret_name(name.strip('"')))
            )
        )
    )


@settings(max_examples=50)
@given(
    st.lists(settings_of(secret=False), min_size=1, max_size=4),
    st.sampled_from(["  keys {{ {} }}", "  {}", "[{{ {} }}]"]),
)
def test_only_secret_settings_on_a_line_are_masked(each: list[str], around: str) -> None:
    line = around.format(", ".join(each))
    shown = source_line(line)
    assert "Zq7" not in shown
    assert shown.count('"plain"') == line.count('"plain"')


def test_the_placeholder_of_a_hint_is_kept() -> None:
    hint = 'ODBC string, "server=...;user id=...;password=...;database=..." or pwd=...'
    assert Redactor().text(hint) == hint
    assert Redactor().text("password=...x; pwd=....") == "password=***; pwd=***"


@pytest.mark.parametrize(
    ("headers", "leaks"),
    [
        ("api-key=k3y-of-the-collector", "k3y-of-the-collector"),
        ("a=b,Authorization=Bearer%20k3y-of-the-collector", "Bearer k3y-of-the-collector and k3y-of-the-collector"),
        ("k3y-of-the-collector", "k3y-of-the-collector"),
    ],
)
def test_the_headers_of_an_otlp_exporter_are_hidden(headers: str, leaks: str) -> None:
    for name in ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"):
        redactor = Redactor(secrets=environment_secrets({name: headers}))
        assert "k3y" not in redactor.text(f"refused: {leaks}")


def test_credentials_of_the_engine_in_the_environment_are_hidden() -> None:
    environ = {
        "PULUMI_ACCESS_TOKEN": "pul-0123456789",
        "AZURE_STORAGE_KEY": "a2V5a2V5a2V5",
        "PULUMI_CONFIG_PASSPHRASE": "abc",
    }
    redactor = Redactor(secrets=environment_secrets({**environ, "PATH": "/usr/local/bin"}))
    text = "token pul-0123456789, key a2V5a2V5a2V5, abc in /usr/local/bin"
    assert redactor.text(text) == f"token {MASK}, key {MASK}, abc in /usr/local/bin"

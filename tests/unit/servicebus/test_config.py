from __future__ import annotations

from typing import Any

import pytest
from dstream_servicebus.access import Entra, access
from dstream_servicebus.config import Config, dead_letters, entity_names, routing

from dstream.errors import ConfigError
from dstream.sdk import config_schema, decode_config

KEY = "Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey=a="


def config(**settings: Any) -> Config:
    return decode_config({"connection_string": KEY, "queue": "q", **settings}, Config)


def test_the_original_settings_give_the_original_names() -> None:
    original = decode_config(
        {
            "connectionString": KEY,
            "resourceGroup": "rg-default",
            "namespace": "sb-westeurope",
            "sourceHost": "LOCALHOST",
            "sourceDatabase": "TestDB",
            "tables": ["dbo.Cars", "Persons"],
        },
        Config,
    )

    assert access(original).entry == KEY
    assert entity_names(original).kind == "queue"
    assert entity_names(original).known() == ("localhost-test-db-cars", "localhost-test-db-persons")


def test_a_connection_string_overrides_the_namespace() -> None:
    assert access(config(namespace="sb-orders")).entry == KEY


def test_a_namespace_alone_uses_the_default_credential() -> None:
    entra = decode_config({"namespace": "sb-orders", "queue": "q"}, Config)

    assert access(entra).entry == Entra("sb-orders", "default", "", "", "")


def test_secrets_are_never_printed() -> None:
    settings = config(connection_string="Endpoint=sb://x/;SharedAccessKey=hidden=")

    assert "hidden" not in repr(settings) + repr(access(settings))


@pytest.mark.parametrize(
    ("settings", "code", "path"),
    [
        ({"connectionString": KEY}, "servicebus.set_twice", "connection_string"),
        ({"credential": "cli"}, "servicebus.two_credentials", "credential"),
        ({"proxy": "http://proxy:3128"}, "servicebus.proxy_needs_websocket", "proxy"),
        ({"transport": "websocket", "proxy": "proxy:3128"}, "servicebus.bad_proxy", "proxy"),
        ({"transport": "websocket", "proxy": "https://proxy:3128"}, "servicebus.bad_proxy", "proxy"),
        ({"transport": "websocket", "proxy": "http://proxy:many"}, "servicebus.bad_proxy", "proxy"),
        ({"custom_endpoint": "gateway.example"}, "servicebus.bad_custom_endpoint", "custom_endpoint"),
        ({"topic": "t"}, "servicebus.two_entities", "topic"),
        ({"queue": None}, "servicebus.no_entity", "queue"),
        ({"queue": "{source_database}-{table}"}, "servicebus.name_incomplete", "queue"),
        ({"queue": "-orders"}, "servicebus.bad_entity_name", "queue"),
        ({"queue": "o" * 261}, "servicebus.bad_entity_name", "queue"),
        ({"queue": "{table"}, "servicebus.bad_template", "queue"),
        ({"subject": "}{"}, "servicebus.bad_template", "subject"),
        ({"properties": {"lsn": "{"}}, "servicebus.bad_template", "properties.lsn"),
        ({"time_to_live": "500ms"}, "servicebus.bad_time_to_live", "time_to_live"),
        ({"time_to_live": "60d"}, "servicebus.bad_time_to_live", "time_to_live"),
        ({"time_to_live": "1x"}, "servicebus.bad_time_to_live", "time_to_live"),
        ({"time_to_live": 500}, "servicebus.bad_time_to_live", "time_to_live"),
        ({"scheduled": "tomorrow"}, "servicebus.bad_schedule", "scheduled"),
        ({"scheduled": "{"}, "servicebus.bad_template", "scheduled"),
        ({"body": "data", "packing": {"rows_per_message": 2}}, "servicebus.no_row_ids", "packing"),
        (
            {
                "body": "cloudevents",
                "cloudevents": {"source": "/s", "mode": "binary"},
                "packing": {"rows_per_message": 2},
            },
            "servicebus.no_row_ids",
            "packing",
        ),
        ({"on_oversize": "dead_letter"}, "servicebus.no_dead_letter", "dead_letter"),
        ({"on_error": {"refused": "dead_letter"}}, "servicebus.no_dead_letter", "dead_letter"),
        ({"on_oversize": "fail", "on_error": {"oversize": "fail"}}, "servicebus.two_policies", "on_oversize"),
        ({"dead_letter": {"max_rows": 5}}, "servicebus.bad_dead_letter", "dead_letter"),
        ({"dead_letter": {"file": "f", "queue": "other"}}, "servicebus.bad_dead_letter", "dead_letter"),
        ({"dead_letter": {"queue": "Q"}}, "servicebus.bad_dead_letter", "dead_letter.queue"),
        ({"dead_letter": {"queue": "a b"}}, "servicebus.bad_entity_name", "dead_letter.queue"),
        ({"connection_string": None}, "servicebus.no_connection", "connection_string"),
        (
            {"connection_string": None, "namespace": "n", "credential": "client_secret"},
            "servicebus.incomplete_credential",
            "credential",
        ),
    ],
)
def test_invalid_settings_are_named(settings: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_all(config(**settings))

    assert (caught.value.code, caught.value.config_path) == (code, path)


def check_all(settings: Config) -> None:
    access(settings)
    routing(settings)
    dead_letters(settings)


@pytest.mark.parametrize("settings", [{"on_oversize": "dead_letter"}, {"on_error": {"oversize": "dead_letter"}}])
def test_both_names_of_the_oversize_policy_mean_the_same(settings: dict[str, Any]) -> None:
    policy = dead_letters(config(dead_letter={"file": "rejected.jsonl"}, **settings))

    assert (policy.oversize, policy.refused, policy.file, policy.max_rows) == (
        "dead_letter",
        "fail",
        "rejected.jsonl",
        1000,
    )


def test_an_unknown_setting_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(ConfigError) as caught:
        config(conection_string="x")

    assert caught.value.config_path == "conection_string"
    assert "connection_string" in caught.value.hint


def test_the_schema_marks_secrets() -> None:
    properties = config_schema(Config)["$defs"]["Config"]["properties"]

    assert properties["connection_string"]["anyOf"][0]["writeOnly"]
    assert properties["connectionString"]["anyOf"][0]["writeOnly"]

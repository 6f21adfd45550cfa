from __future__ import annotations

import re

import msgspec
import pytest

from dstream.errors import ConfigError
from dstream.sdk import Duration, InputProvider, Secret, Size, config_schema, decode_config


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    limit: Size = Size("1MiB")


class Config(msgspec.Struct, forbid_unknown_fields=True):
    connection: Secret[str]
    poll_interval: Duration = Duration("1s")
    tables: list[str] = []
    batch: Inner = msgspec.field(default_factory=Inner)


class Reader(InputProvider[Config]):
    """An input with the config `Config`."""


def test_a_config_is_decoded_into_its_types() -> None:
    config = decode_config({"connection": "s3cret", "poll_interval": "1m30s", "batch": {"limit": "64KiB"}}, Config)
    assert config.connection.reveal() == "s3cret"
    assert config.poll_interval == 90.0
    assert config.batch.limit == 65536


def test_a_secret_is_never_printed() -> None:
    config = decode_config({"connection": "s3cret"}, Config)
    assert "s3cret" not in f"{config} {config!r} {config.connection}"


@pytest.mark.parametrize(
    ("given", "path", "words", "hint"),
    [
        (
            {"connection": "x", "poll_intervall": "1s"},
            "poll_intervall",
            "unknown setting",
            'Did you mean "poll_interval"?',
        ),
        ({"connection": "x", "tables": ["a", 3]}, "tables[1]", '"tables[1]" must be text, not a whole number', ""),
        ({"connection": "x", "poll_interval": "soon"}, "poll_interval", '"soon" is not a valid duration', ""),
        ({"connection": "x", "batch": {"limit": "big"}}, "batch.limit", '"big" is not a valid size', ""),
        ({"connection": "x", "batch": {"size": 1}}, "batch.size", "unknown setting", ""),
        ({}, "connection", 'the setting "connection" is missing', ""),
        ({"connection": 7}, "connection", '"connection" must be text, not a whole number', ""),
    ],
)
def test_an_invalid_config_is_refused_with_its_path(given: dict[str, object], path: str, words: str, hint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        decode_config(given, Config)
    assert (refused.value.config_path, refused.value.kind) == (path, "config")
    assert words in refused.value.message
    assert hint in refused.value.hint


def test_the_schema_marks_secrets_and_lists_every_field() -> None:
    schema = config_schema(Reader.config_type())
    properties = schema["$defs"]["Config"]["properties"]
    assert properties["connection"] == {"type": "string", "writeOnly": True}
    assert properties["poll_interval"]["default"] == "1s"
    assert set(properties) == {"connection", "poll_interval", "tables", "batch"}


def test_a_bare_number_is_milliseconds_as_in_the_original() -> None:
    assert Duration(250) == 0.25


class Shared(msgspec.Struct):
    pause: Duration = Duration("1s")


class UsesTwice(msgspec.Struct):
    first: Shared
    others: list[Shared] = []


def test_a_class_used_twice_is_defined_once_in_the_schema() -> None:
    schema = config_schema(UsesTwice)
    assert schema["$defs"]["UsesTwice"]["properties"]["first"] == {"$ref": "#/$defs/Shared"}
    assert schema["$defs"]["Shared"]["properties"]["pause"]["default"] == "1s"


def test_the_schema_has_patterns_for_durations_and_sizes() -> None:
    properties = config_schema(Config)["$defs"]
    duration = properties["Config"]["properties"]["poll_interval"]["pattern"]
    size = properties["Inner"]["properties"]["limit"]["pattern"]
    assert all(re.search(duration, text) for text in ("250ms", "5s", "1h30m", "1.5s"))
    assert not any(re.search(duration, text) for text in ("5 sec", "s", "5", ""))
    assert all(re.search(size, text) for text in ("64KiB", "10 MB", "7"))
    assert not any(re.search(size, text) for text in ("big", "64kib!"))

from __future__ import annotations

from typing import Any

import pytest
from dstream_mssql_cdc.config import Config, checked, has_offset, parse_start

from dstream.sdk import config_schema, decode_config
from dstream.sdk.errors import ConfigError

ORIGINAL = {
    "db_connection_string": "server=localhost,1433;user id=reader;password=Sample;database=Fleet;encrypt=disable",
    "poll_interval": "5s",
    "max_poll_interval": "30s",
    "tables": ["People", "Vehicles"],
    "lock_config": {"type": "none"},
}


def test_an_original_config_loads() -> None:
    config = checked(decode_config(ORIGINAL, Config))
    assert (config.tables, config.poll_interval, config.max_poll_interval) == (["People", "Vehicles"], 5.0, 30.0)
    assert "Sample" not in repr(config)


@pytest.mark.parametrize(
    ("setting", "path"),
    [
        ({"poll_intervall": "1s"}, "poll_intervall"),
        ({"tables": []}, "tables"),
        ({"lock_config": {"type": "consul"}}, "lock_config.type"),
        ({"lock_config": {"type": "azure_blob", "container_name": "locks"}}, "lock_config.connection_string"),
        ({"lock_config": {"type": "azure_blob", "connection_string": "AccountName=a"}}, "lock_config.container_name"),
        ({"poll_interval": "40s"}, "max_poll_interval"),
        ({"poll_interval": "0s"}, "poll_interval"),
        ({"query_timeout": "0s"}, "query_timeout"),
        ({"operations": ["upsert"]}, "operations[0]"),
        ({"columns": {"dbo.T": {"excluded": []}}}, "columns[...].excluded"),
        ({"max_bytes_per_poll": "1KiB"}, "max_bytes_per_poll"),
        ({"heartbeat": "10s"}, "heartbeat"),
    ],
)
def test_an_invalid_setting_is_refused_with_its_path(setting: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked(decode_config({**ORIGINAL, **setting}, Config))
    assert caught.value.config_path == path


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("earliest", "earliest"),
        ("latest", "latest"),
        ("0000002a000000180022", "lsn"),
        ("0x0000002A000000180022", "lsn"),
        ("0000002a:00000018:0022", "lsn"),
    ],
)
def test_every_form_of_start_from_is_accepted(text: str, kind: str) -> None:
    start = parse_start(text)
    assert start.kind == kind
    if kind == "lsn":
        assert start.lsn.hex() == "0000002a000000180022"


@pytest.mark.parametrize(
    ("text", "sent", "offset"),
    [
        ("2024-02-29", "2024-02-29T00:00:00", False),
        ("2024-02-29T23:59", "2024-02-29T23:59:00", False),
        ("2024-02-29 23:59:59.997", "2024-02-29T23:59:59.997", False),
        ("2024-02-29T23:59Z", "2024-02-29T23:59:00Z", True),
        ("2024-02-29 23:59:59+02:00", "2024-02-29T23:59:59+02:00", True),
        ("2024-02-29T23:59:59.9-11:30", "2024-02-29T23:59:59.9-11:30", True),
    ],
)
def test_a_time_is_sent_with_all_of_its_elements(text: str, sent: str, offset: bool) -> None:
    start = parse_start(text)
    assert (start.kind, start.time, has_offset(start.time)) == ("time", sent, offset)


@pytest.mark.parametrize(
    "text", ["snapshots", "yesterday", "2024-02-30", "2a", "2024-02-29+02:00", "2024-02-29T24:00", ""]
)
def test_other_starts_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_start(text)


def test_the_config_describes_itself() -> None:
    schema = config_schema(Config)["$defs"]["Config"]
    assert schema["required"] == ["db_connection_string", "tables"]
    assert schema["properties"]["db_connection_string"]["writeOnly"]
    assert schema["properties"]["poll_interval"]["default"] == "1s"
    assert schema["properties"]["max_poll_interval"]["default"] == "2s"  # more would add to the latency of capture

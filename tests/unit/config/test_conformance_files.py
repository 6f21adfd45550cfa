"""Files written for the original DStream load unchanged, with the values that their comments list."""

from __future__ import annotations

from pathlib import Path

from dstream.config import load

FILES = Path(__file__).parent / "original"


def test_templates_are_rendered_in_strings_and_on_their_own() -> None:
    environ = {"ASB_CONNECTION_STRING": "Endpoint=sb://x/;SharedAccessKey=a=", "REGION": "westeurope"}
    task = load(FILES / "templates.hcl", environ=environ).tasks["to-bus"]

    assert task.input.config == {"interval": 250, "maxCount": 5}
    assert task.output.config == {
        "connectionString": "Endpoint=sb://x/;SharedAccessKey=a=",
        "resourceGroup": "rg-default",
        "namespace": "sb-westeurope",
        "sourceHost": "LOCALHOST",
        "tables": ["dbo.Vehicles", "dbo.People"],
    }


def test_locals_have_two_names_and_config_can_be_a_map() -> None:
    task = load(FILES / "locals_and_maps.hcl", environ={}).tasks["a"]

    assert task.input.config == {"tables": ["T1", "T2"], "retries": 3}
    assert task.output.config == {"labels": {"env": "dev", "n": 2}}


def test_tasks_keep_their_order_and_config_is_optional() -> None:
    tasks = load(FILES / "several_tasks.hcl", environ={}).tasks

    assert list(tasks) == ["first", "second"]
    assert tasks["first"].input.provider_path == "../bin/counter-input"
    assert tasks["first"].output.config == {}
    assert tasks["second"].input.config == {}
    assert tasks["second"].output.config == {"outputFormat": "structured", "nested": {"depth": 1}}


def test_a_file_that_names_providers_by_reference_loads() -> None:
    task = load(FILES / "ingest_to_log.hcl", environ={}).tasks["people-to-log"]

    assert task.type == "providers"
    assert task.input.provider_ref == "ghcr.io/example/dstream-ingester-mssql:v0.0.41"
    assert task.input.config["tables"] == ["People", "Vehicles"]
    assert task.input.config["lock_config"] == {"type": "none"}
    assert task.output.config == {"logLevel": "info"}

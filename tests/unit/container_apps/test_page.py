"""docs/reference/providers/container_apps.md names every setting, and its example is valid."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from dstream_container_apps.config import Config
from dstream_container_apps.specs import check

from dstream.config import load
from dstream.sdk import decode_config

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "providers" / "container_apps.md").read_text("utf-8")


def test_every_setting_is_in_the_table() -> None:
    documented = re.findall(r"^\| `(\w+)` \|.*\|.*\|$", PAGE.partition("## What is created")[0], re.MULTILINE)
    assert set(documented) | {"deployed"} == {each.name for each in msgspec.structs.fields(Config)}


def test_the_example_is_valid(tmp_path: Path) -> None:
    (example,) = re.findall(r"```hcl\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "dstream.hcl").write_text(example)
    project = load(tmp_path / "dstream.hcl", environ={"MSSQL_CONNECTION_STRING": "a"}, deployments=None)
    check(decode_config(dict(project.deployments["aca"].config), Config))

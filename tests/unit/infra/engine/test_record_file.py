"""A record that DStream cannot read itself is left to the engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dstream.infra.engine.environment import StackLocation
from dstream.infra.engine.record_file import read_record, write_empty_record

LATEST = {"manifest": {}, "resources": []}


def saved(folder: Path, content: Any) -> StackLocation:
    place = StackLocation("orders", "dev", folder / "work", folder.as_uri())
    assert place.record_file is not None
    place.record_file.parent.mkdir(parents=True)
    place.record_file.write_text(json.dumps(content))
    return place


def test_a_record_is_read_as_the_engine_exports_it(tmp_path: Path) -> None:
    place = saved(tmp_path, {"version": 3, "checkpoint": {"stack": "organization/orders/dev", "latest": LATEST}})
    assert read_record(place) == {"version": 3, "deployment": LATEST}


@pytest.mark.parametrize(
    "content",
    [
        {"version": 4, "checkpoint": {"latest": LATEST}},
        {"version": 3, "features": ["refreshBeforeUpdate"], "checkpoint": {"latest": LATEST}},
        {"version": 3, "checkpoint": {"stack": "organization/orders/dev"}},
    ],
)
def test_other_formats_and_an_empty_stack_are_left_to_the_engine(content: Any, tmp_path: Path) -> None:
    assert read_record(saved(tmp_path, content)) is None


def test_compressed_missing_and_remote_records_are_left_to_the_engine(tmp_path: Path) -> None:
    place = saved(tmp_path, {"version": 3, "checkpoint": {"latest": LATEST}})
    assert place.record_file is not None
    (place.record_file.parent / "dev.json.gz").touch()
    assert read_record(place) is None
    assert read_record(StackLocation("other", "dev", tmp_path, tmp_path.as_uri())) is None
    assert read_record(StackLocation("orders", "dev", tmp_path, "s3://bucket")) is None


def test_an_empty_record_is_a_stack_without_resources(tmp_path: Path) -> None:
    place = StackLocation("orders", "dev", tmp_path / "work", tmp_path.as_uri())
    write_empty_record(place)
    assert not place.is_certainly_empty
    assert read_record(place) is None

"""A full disk: it is noticed before anything changes, and never costs the last complete record."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from pulumi.automation.errors import CommandError

from dstream.errors import SystemFault
from dstream.infra.engine.cli import ENGINE_VERSION, Engine
from dstream.infra.engine.command import EngineCommand
from dstream.infra.engine.environment import StackLocation
from dstream.infra.engine.safekeeping import RecordKeeper, check_folders, repair_record
from dstream.sdk import Stop

FAILING_ENGINE = """#!/bin/sh
echo '{"version":3,"checkpoint":{"serial":2}}' > dev.json.tmp && mv dev.json.tmp dev.json
until grep -q '"serial":2' dev.json.kept; do sleep 0.01; done
printf '{"version":3,"check' > dev.json.tmp && mv dev.json.tmp dev.json
exec sleep 60
"""
"""Saves one complete and one truncated record, then retries, as the engine does on a full disk."""


@pytest.fixture
def place(tmp_path: Path) -> StackLocation:
    place = StackLocation("orders", "dev", tmp_path / "work", tmp_path.as_uri())
    assert place.record_file is not None
    place.record_file.parent.mkdir(parents=True)
    return place


def write(file: Path, serial: int, *, is_complete: bool = True) -> None:
    """Replace the file, as the engine does."""
    text = json.dumps({"version": 3, "checkpoint": {"serial": serial}})
    fresh = file.with_name("fresh")
    fresh.write_text(text if is_complete else text[:-5])
    os.replace(fresh, file)


def serial(record: Path) -> int:
    number: int = json.loads(record.read_text())["checkpoint"]["serial"]
    return number


def test_an_engine_that_cannot_save_its_record_is_killed_and_the_last_one_restored(tmp_path: Path) -> None:
    fake = tmp_path / "pulumi"
    fake.write_text(FAILING_ENGINE)
    fake.chmod(0o755)
    record = tmp_path / "dev.json"
    command = EngineCommand(Engine(fake, ENGINE_VERSION, "PATH"), Stop(), record=record)

    with pytest.raises(CommandError):
        command.run(["up"], str(tmp_path), {})

    assert command.could_not_save
    assert serial(record) == 2
    assert not list(tmp_path.glob("*.kept*"))


def test_the_newest_complete_copy_is_restored(place: StackLocation) -> None:
    record = place.record_file
    assert record is not None
    keeper = RecordKeeper(record)
    for number in (1, 2):
        write(record, number)
        assert not keeper.look()
    write(record, 3, is_complete=False)
    assert keeper.end()
    assert serial(record) == 2

    keeper = RecordKeeper(record)
    assert not keeper.look()
    write(record.with_name("dev.json.bak"), 7)  # saved between two looks
    write(record, 8, is_complete=False)
    assert keeper.end()
    assert serial(record) == 7


def test_a_complete_record_leaves_no_copy(place: StackLocation) -> None:
    record = place.record_file
    assert record is not None
    keeper = RecordKeeper(record)
    write(record, 1)
    assert not keeper.look()
    assert not keeper.end()
    assert [each.name for each in record.parent.iterdir()] == ["dev.json"]


def test_a_file_system_without_hard_links_uses_the_engines_backup(
    place: StackLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    record = place.record_file
    assert record is not None
    keeper = RecordKeeper(record)
    write(record, 1)
    assert not keeper.look()
    write(record.with_name("dev.json.bak"), 1)
    write(record, 2, is_complete=False)
    assert keeper.end()
    assert serial(record) == 1


def test_a_record_that_a_killed_command_left_damaged_is_repaired(place: StackLocation) -> None:
    record = place.record_file
    assert record is not None
    assert not repair_record(place)
    write(record, 1)
    assert not repair_record(place)
    assert not RecordKeeper(record).look()
    write(record, 2, is_complete=False)
    assert repair_record(place)
    assert serial(record) == 1

    record.write_text("")
    with pytest.raises(SystemFault) as caught:
        repair_record(place)
    assert caught.value.code == "infra.record_damaged"
    assert str(record) in caught.value.message
    assert f"{place.folder}/.pulumi/backups/orders/dev" in caught.value.hint


def test_a_folder_that_is_not_writable_is_refused_before_anything_changes(
    place: StackLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[Path] = []
    monkeypatch.setattr(os, "access", lambda folder, _: folder not in refused)
    assert place.record_file is not None
    for folder in (place.folder, place.record_file.parent):
        assert folder is not None
        check_folders(place)
        refused[:] = [folder]
        with pytest.raises(SystemFault, match=f"{folder} is not writable") as caught:
            check_folders(place)
        assert caught.value.code == "infra.not_writable"
        refused.clear()


def test_too_little_space_is_refused_before_anything_changes(
    place: StackLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = place.record_file
    assert record is not None
    write(record, 1)
    check_folders(place)
    free = SimpleNamespace(free=5 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    check_folders(place)
    record.write_bytes(b"x" * (1 << 20))
    with pytest.raises(SystemFault, match=r"has 5\.0 MB of free space, and the engine may need 8\.0 MB") as caught:
        check_folders(place)
    assert caught.value.code == "infra.disk_full"

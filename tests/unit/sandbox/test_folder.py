"""The data folder: saved settings, and locks that show what is running."""

from __future__ import annotations

import dataclasses
import json
import re
import stat
from pathlib import Path

import pytest
from dstream_sandbox.errors import SandboxError
from dstream_sandbox.folder import Folder, Running


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "data")
    folder.make()
    return folder


def test_new_settings_have_different_ports_and_strong_credentials(folder: Folder) -> None:
    settings = folder.settings_with()
    assert len(set(settings.ports.values())) == 5
    assert re.fullmatch(r"Aa1-[A-Za-z0-9]{24}", settings.sql_password)
    assert folder.settings_with().sql_password != settings.sql_password


def test_saved_settings_change_only_where_a_value_is_given(folder: Folder) -> None:
    first = folder.settings_with(sql_port=20001)
    folder.keep(first)
    assert folder.settings_with(sql_port=None, profile="premium") == folder.settings_with(profile="premium")
    changed = folder.settings_with(profile="premium", capture_delay_s=0.0)
    assert (changed.sql_port, changed.profile, changed.servicebus_key) == (20001, "premium", first.servicebus_key)


def test_old_settings_without_an_azure_port_get_one(folder: Folder) -> None:
    first = folder.settings_with()
    folder.keep(first)
    file = folder.path / "sandbox.json"
    kept = json.loads(file.read_text())
    del kept["azure_port"]
    file.write_text(json.dumps(kept))
    settings = folder.settings_with()
    assert settings.azure_port
    assert settings.azure_port not in [port for name, port in settings.ports.items() if name != "--azure-port"]
    assert settings == dataclasses.replace(first, azure_port=settings.azure_port)


def test_settings_are_readable_only_by_their_owner(folder: Folder) -> None:
    folder.keep(folder.settings_with())
    assert stat.S_IMODE((folder.path / "sandbox.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["{", "[]", '{"sql_port": 1}', '{"colour": "red"}'])
def test_an_invalid_settings_file_is_named(folder: Folder, text: str) -> None:
    (folder.path / "sandbox.json").write_text(text)
    with pytest.raises(SandboxError, match=r"sandbox\.json"):
        folder.settings()


def test_the_sandbox_runs_only_while_a_supervisor_holds_the_lock(folder: Folder) -> None:
    running = Running(supervisor=1, sqlserver=2, servicebus=None)
    folder.set_running(running)
    assert folder.running() is None
    lock = folder.locked("supervisor")
    assert lock is not None
    assert folder.running() == running
    assert folder.locked("supervisor") is None
    assert not folder.is_locked("servers")
    lock.close()
    assert folder.running() is None


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SandboxError, match="Not a directory"):
        Folder(tmp_path / "file" / "data").make()

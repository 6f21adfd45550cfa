"""Azurite on a machine that has neither Node.js nor npm."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.integration.infra.azurite import running_azurite

COMMANDS = ("sh", "cp", "dirname", "mkdir", "mktemp", "mv", "rm", "sed")


@pytest.mark.soak  # downloads 60 MB
@pytest.mark.timeout(900)
def test_azurite_installs_and_answers_without_node_in_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bin"
    path.mkdir()
    for name in COMMANDS:
        found = shutil.which(name)
        assert found
        (path / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setenv("HOME", str(tmp_path))
    subprocess.run([ROOT / "tools" / "install-azurite", sys.executable], check=True)
    assert shutil.which("node") is None
    with running_azurite(tmp_path) as azurite:
        assert azurite.container().names("") == []

"""The wheels, installed in an empty environment: nothing needs the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.running import BIN

COUNT = """
task "count" {
  input {
    provider = "counter"
    config { interval = "1ms" }
  }
  output {
    provider = "console"
  }
}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs, after what docs/get-started.md says for another machine."""
    folder = tmp_path_factory.mktemp("wheels")
    build_wheels(folder / "wheels")
    done(BIN / "uv", "venv", "--python", sys.executable, folder / "venv")
    done(*install(folder))
    return folder / "venv/bin"


def install(folder: Path) -> list[str | Path]:
    command = [BIN / "uv", "pip", "install", "--python", folder / "venv/bin/python", "--require-hashes"]
    return [*command, "-r", folder / "wheels" / "requirements-sandbox.txt"]


def build_wheels(folder: Path) -> None:
    """Do what `make wheels` does."""
    done(sys.executable, ROOT / "tools/build_wheels.py", BIN / "uv", folder)


def done(*command: str | Path) -> None:
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr


def dstream(programs: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command with nothing of the checkout in its environment."""
    env = {"HOME": os.environ["HOME"], "PATH": "/usr/bin:/bin"}
    command = [programs / "dstream", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False)


def test_wheels_contain_all_that_a_task_needs(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "dstream.hcl").write_text(COUNT)
    ran = dstream(installed, tmp_path, "run", "count", "--max-rows", "3")
    assert (ran.returncode, "run.finished     task=count rows=" in ran.stderr) == (0, True), ran.stderr
    listed = dstream(installed, tmp_path, "provider", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    providers = {each["name"] for each in json.loads(listed.stdout)["providers"]}
    assert {"console", "counter", "mssql_cdc", "servicebus"} <= providers


def test_a_wheel_that_was_replaced_is_not_installed(installed: Path) -> None:
    folder = installed.parent.parent
    (wheel,) = folder.glob("wheels/dstream_cli-*.whl")
    content = wheel.read_bytes()
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("evil.py", "")
    command = [*install(folder), "--no-deps", "--reinstall-package", "dstream-cli"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    wheel.write_bytes(content)
    assert ran.returncode != 0
    assert "Hash mismatch" in ran.stderr, ran.stderr


@pytest.mark.soak  # starts the engine five times
@pytest.mark.timeout(900)
def test_wheels_run_the_demo(installed: Path, tmp_path: Path) -> None:
    ran = dstream(installed, tmp_path, "demo", "--rows", "200", "--json")
    assert ran.returncode == 0, ran.stderr
    figures = json.loads(ran.stdout)
    assert (figures["infrastructure_ok"], figures["lost"], figures["repeated"]) == (True, 0, 0)

"""The wheels, installed in an empty environment: nothing needs the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
    uv("venv", "--python", sys.executable, str(folder / "venv"))
    requirements = folder / "wheels/requirements-sandbox.txt"
    uv("pip", "install", "--python", str(folder / "venv/bin/python"), "--require-hashes", "-r", str(requirements))
    return folder / "venv/bin"


def build_wheels(folder: Path) -> None:
    """Do what `make wheels` does."""
    command = [sys.executable, ROOT / "tools/build_wheels.py", BIN / "uv", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def uv(*arguments: str) -> None:
    done = subprocess.run([BIN / "uv", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def dstream(programs: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command with nothing of the checkout in its environment."""
    env = {"HOME": os.environ["HOME"], "PATH": "/usr/bin:/bin"}
    command = [programs / "dstream", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False)


def test_wheels_contain_all_that_a_task_needs(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "dstream.hcl").write_text(COUNT)
    done = dstream(installed, tmp_path, "run", "count", "--max-rows", "3")
    assert (done.returncode, "run.finished     task=count rows=" in done.stderr) == (0, True), done.stderr
    listed = dstream(installed, tmp_path, "provider", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    providers = {each["name"] for each in json.loads(listed.stdout)["providers"]}
    assert {"console", "counter", "mssql_cdc", "servicebus"} <= providers


@pytest.mark.soak  # starts the engine five times
@pytest.mark.timeout(900)
def test_wheels_run_the_demo(installed: Path, tmp_path: Path) -> None:
    done = dstream(installed, tmp_path, "demo", "--rows", "200", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["infrastructure_ok"], figures["lost"], figures["repeated"]) == (True, 0, 0)

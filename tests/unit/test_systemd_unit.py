"""The unit in examples/systemd, read by systemd's own tool."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

UNIT = ROOT / "examples" / "systemd" / "dstream@.service"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """An instance of the unit that exists on this machine: systemd checks the program and the user."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    unit = tmp_path / "dstream@orders.service"
    text = UNIT.read_text().replace("/opt/dstream/bin/dstream", str(Path(sys.executable).with_name("dstream")))
    unit.write_text(text.replace("User=dstream", "User=root"))
    return unit


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_systemd_accepts_the_unit(unit: Path) -> None:
    done = analyze("verify", unit)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_service_is_hardened(unit: Path) -> None:
    """systemd's own scale: below 2.0 of 10, in tenths."""
    done = analyze("security", "--offline=true", "--threshold=20", "--no-pager", unit)
    assert done.returncode == 0, done.stdout


def test_only_dstream_is_told_to_stop() -> None:
    """With systemd's default, SIGTERM would also reach the providers, which then could not be drained."""
    assert "\nKillMode=mixed\n" in UNIT.read_text()

"""`dstream demo`, run from a shell that is set up for another configuration."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.running import BIN


@pytest.mark.soak  # starts the engine five times
def test_demo_ignores_dstream_config(tmp_path: Path) -> None:
    done = subprocess.run(
        [BIN / "dstream", "demo", "--rows", "100", "--json"],
        cwd=tmp_path,
        env={**os.environ, "DSTREAM_CONFIG": "elsewhere.hcl"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["infrastructure_ok"], figures["lost"], figures["repeated"]) == (True, 0, 0)

"""examples/provisioning is valid in both environments, and a plan suggests commands for its own environment."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.warm import run_dstream

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "provisioning" / "dstream.hcl"
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "MSSQL_CONNECTION_STRING": "Server=localhost,1433;Database=shop;UID=reader;PWD=unused",
}

TWO_ENVIRONMENTS = """
variable "env" { default = "dev" }
variable "password" { default = "" }
dstream {
  infrastructure {
    stack = var.env
  }
}
task "shop" {
  input {
    provider = "counter"
  }
  output {
    provider = "test_infrastructure"
    config {
      resources = { orders = { max_delivery_count = 10, sessions = %s } }
      holds     = { orders = 3 }
    }
  }
}
"""


def dstream(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_dstream(arguments, folder, ENVIRONMENT, timeout_s=60.0)


@pytest.mark.parametrize("env", ["dev", "prod"])
def test_the_example_is_valid_in_each_environment(env: str, tmp_path: Path) -> None:
    done = dstream(tmp_path, "validate", "--config", str(EXAMPLE), "--var", f"env={env}")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_plan_suggests_init_with_the_same_file_and_variables(tmp_path: Path) -> None:
    (tmp_path / "shop.hcl").write_text(TWO_ENVIRONMENTS % "false")
    done = dstream(tmp_path, "plan", "shop", "-c", "shop.hcl", "--var", "env=prod", "--var", "password=of mine")
    assert done.returncode == 0, done.stderr
    assert "Next: dstream init shop --config shop.hcl --var env=prod --var 'password=***'\n" in done.stdout


def test_a_plan_that_init_would_refuse_suggests_no_next_command(tmp_path: Path) -> None:
    (tmp_path / "dstream.hcl").write_text(TWO_ENVIRONMENTS % "false")
    assert dstream(tmp_path, "init", "shop", "--yes").returncode == 0
    (tmp_path / "dstream.hcl").write_text(TWO_ENVIRONMENTS % "true")
    done = dstream(tmp_path, "plan", "shop")
    assert "Allow it with --allow-data-loss." in done.stdout
    assert "Next:" not in done.stdout

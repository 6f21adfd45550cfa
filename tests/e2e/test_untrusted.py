"""A checkout that nobody has reviewed yet: what the commands refuse to run or read from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.running import DStream, planted_modules

COUNT = """
task "count" {
  input {
    provider = "counter"
    config { count = 1 }
  }
  output { provider = "console" }
}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> DStream:
    (tmp_path / "dstream.hcl").write_text(COUNT)
    return DStream(tmp_path)


@pytest.mark.parametrize("command", [["validate"], ["run", "count", "--max-rows", "1", "--output", "-"]])
def test_modules_next_to_the_file_are_not_imported(checkout: DStream, tmp_path: Path, command: list[str]) -> None:
    ran = planted_modules(tmp_path)
    assert checkout(*command).returncode == 0
    assert not ran.exists()

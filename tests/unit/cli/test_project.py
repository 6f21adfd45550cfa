"""How settings in the file reach providers."""

from __future__ import annotations

from pathlib import Path

import pytest

from dstream.cli.project import infrastructure_of
from dstream.config import load

_TASK = """
task "orders" {
  input { provider = "counter" }
  output { provider = "console" }
}
"""


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ("file://.dstream/infra", "file://{folder}/.dstream/infra"),
        ("file://../infra", "file://{parent}/infra"),
        ("file:///var/infra", "file:///var/infra"),
        ("file://~/infra", "file://~/infra"),
        ("azblob://states", "azblob://states"),
    ],
)
def test_relative_paths_are_relative_to_the_file(written: str, given: str, tmp_path: Path) -> None:
    file = tmp_path / "dstream.hcl"
    file.write_text(
        f'dstream {{\n infrastructure {{\n  backend_url = "{written}"\n  program = "infra.py"\n }}\n}}\n{_TASK}'
    )
    project = load(file, environ={})

    found = infrastructure_of(project, "orders")

    assert found.backend_url == given.format(folder=tmp_path, parent=tmp_path.parent)
    assert found.program == str(tmp_path / "infra.py")

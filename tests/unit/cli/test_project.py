"""How settings in the file reach providers."""

from __future__ import annotations

from pathlib import Path

import pytest

from dstream.cli.project import deployment_record, infrastructure_of, record_of, recorded_infrastructure
from dstream.config import load
from dstream.errors import ConfigError

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


def test_a_deployment_is_recorded_apart_from_tasks_and_without_the_program_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "dstream.hcl"
    program = 'dstream {\n infrastructure {\n  program = "infra.py"\n }\n}\n'
    file.write_text(f'{program}{_TASK}deployment "aca" {{\n provider = "container_apps"\n}}\n')
    project = load(file, environ={})

    assert (deployment_record("aca", "orders"), deployment_record("aca", "aca")) == ("aca//orders", "aca//")
    found = infrastructure_of(project, "aca//orders")
    assert found.program is None
    assert found.work_dir == str(tmp_path / ".dstream" / "infra" / "aca%2F%2Forders" / "dev")
    for name in ("orders", "aca//orders"):
        folder = Path(infrastructure_of(project, name).work_dir)
        folder.mkdir(parents=True)
        (folder / "Pulumi.dev.yaml").touch()
    assert recorded_infrastructure(project) == {"orders"}
    assert [record_of(project, name) for name in ("orders", "aca/orders", "aca/")] == ["orders", "aca//orders", "aca//"]
    with pytest.raises(ConfigError, match="unknown task"):
        record_of(project, "acs/orders")

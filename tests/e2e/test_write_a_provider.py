"""docs/guides/write-a-provider.md, followed step by step with the code and commands on the page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from dstream.kit import CHECKS, check_provider
from tests.running import DStream

PAGE = (Path(__file__).parent.parent.parent / "docs" / "guides" / "write-a-provider.md").read_text()


def block(language: str, with_text: str) -> str:
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL) if with_text in text]
    return str(found)


def run_preparations(folder: Path, section: str) -> None:
    """Run the commands of a section that create files."""
    commands = re.findall(r"^\$ ((?:seq|echo) .*)$", section, flags=re.MULTILINE)
    assert commands
    for command in commands:
        subprocess.run(["bash", "-c", command], cwd=folder, check=True, timeout=30)


def test_the_python_input_passes_the_kit_and_resumes(tmp_path: Path) -> None:
    assert DStream(tmp_path)("provider", "new", "readings", "--kind", "input").returncode == 0
    folder = tmp_path / "readings"
    dstream = DStream(folder)
    (folder / "dstream_readings.py").write_text(block("python", "class Readings"))
    (folder / "dstream.hcl").write_text(block("hcl", 'task "readings"'))
    run_preparations(folder, PAGE.partition("\n## An output")[0])
    tested = dstream("provider", "test", "dstream_readings.py", "--config", "config.json")
    assert tested.stdout.endswith("\n21 passed.\n"), tested.stdout
    assert dstream("validate").returncode == 0
    first = dstream("run", "readings", "--once")
    assert (first.returncode, "rows=5000" in first.stderr) == (0, True), first.stderr
    again = dstream("run", "readings", "--once")
    assert (again.returncode, "rows=0" in again.stderr) == (0, True), again.stderr


def test_the_pytest_on_the_page_passes(tmp_path: Path) -> None:
    (tmp_path / "dstream_readings.py").write_text(block("python", "class Readings"))
    scope = {
        "Path": Path,
        "check_provider": check_provider,
        "PROVIDER": [sys.executable, str(tmp_path / "dstream_readings.py")],
    }
    exec(block("python", "def test_it_follows_the_protocol"), scope)
    scope["test_it_follows_the_protocol"](tmp_path)  # type: ignore[operator]  # defined on the page


def test_the_output_with_infrastructure_passes_the_kit(tmp_path: Path) -> None:
    assert DStream(tmp_path)("provider", "new", "bus", "--kind", "infrastructure").returncode == 0
    section = PAGE.partition("\n## An output with infrastructure")[2]
    run_preparations(tmp_path / "bus", section.partition("\n## ")[0])
    (command,) = re.findall(r"^\$ dstream (.*--lifecycle)$", section, flags=re.MULTILINE)
    done = DStream(tmp_path / "bus")(*command.split())
    assert done.stdout.endswith("\n26 passed.\n"), done.stdout


def test_the_bash_input_passes_the_kit(tmp_path: Path) -> None:
    script = tmp_path / "hundreds"
    script.write_text(block("bash", "# hundreds"))
    script.chmod(0o755)
    done = DStream(tmp_path)("provider", "test", "./hundreds")
    assert done.returncode == 0, done.stdout
    assert "✓ resumes from a checkpoint" in done.stdout


@pytest.mark.parametrize(
    "name", re.findall(r"^\| `([a-z0-9 ]+)`", PAGE.rpartition("likely cause")[2], flags=re.MULTILINE)
)
def test_each_check_named_on_the_page_exists(name: str) -> None:
    assert name.replace(" ", "_") in {check.name for check in CHECKS}

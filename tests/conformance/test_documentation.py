"""docs/reference/protocol.md is accurate: its example providers run as printed, and it lists every code."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

from dstream.host import ProviderSpec
from tests.conformance.runs import job, run, stored_state

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "reference" / "protocol.md"
ERRORS = ("ConfigError", "DataError", "LockedError", "NoInfrastructure", "RefusedError", "SystemFault")


def test_the_bash_providers_of_the_reference_stream_three_rows(tmp_path: Path) -> None:
    letters, append = (program(tmp_path, name) for name in ("letters", "append"))
    summary = run(job(tmp_path, input=letters, output=append, cwd=tmp_path))
    assert (summary.rows, summary.drained) == (3, True)
    rows = [json.loads(line)["data"] for line in (tmp_path / "rows.txt").read_text().splitlines()]
    assert rows == [{"letter": letter} for letter in "abc"]
    document = stored_state(tmp_path)
    assert document is not None
    assert document["state"] == {"next": "d"}


def test_the_reference_lists_every_code_that_the_host_raises() -> None:
    listed = set(re.findall(r"`((?:plan|protocol|provider|run|state)\.\w+)`", PAGE.read_text().rpartition("\n## ")[2]))
    assert set(raised_codes()) <= listed
    assert listed - set(raised_codes()) == set()


def raised_codes() -> Iterator[str]:
    files = [*ROOT.rglob("dstream/host/**/*.py"), *ROOT.glob("dstream/state/*.py")]
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text()))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS and node.args:
            code = node.args[0]
            if isinstance(code, ast.Constant) and "." in str(code.value) and " " not in str(code.value):
                yield str(code.value)


def program(folder: Path, name: str) -> ProviderSpec:
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    (text,) = [block for block in blocks if f"# {name}:" in block]
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return ProviderSpec(argv=[str(path)], config={}, label=name)

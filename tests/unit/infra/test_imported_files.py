"""The files whose change makes a saved plan stale: the program hook and what it imports from its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from dstream.infra.hook import ProgramHook
from dstream.infra.imported_files import files_of

PROGRAM = """\
import json, tags
import pulumi.runtime
from stock import levels, nothing
def transform(resource):
    from stock.inner.names import NAME
"""
FILES = {
    "infra.py": PROGRAM,
    "tags.py": "import infra, tags",
    "stock/__init__.py": "",
    "stock/levels.py": "from . import units\nfrom .inner import shapes",
    "stock/units.py": "from ..other import *",
    "stock/inner/names.py": "NAME = 'a'",
    "stock/inner/shapes.py": "this is not Python",
    "other.py": "",
    "unused.py": "",
    "levels.py": "",
    "stock/unused.py": "",
}


def test_all_modules_that_are_imported_from_the_folder_are_found(tmp_path: Path) -> None:
    for name, source in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    found = [str(each.relative_to(tmp_path)) for each in files_of(tmp_path / "infra.py")]
    assert sorted(found) == sorted(set(FILES) - {"unused.py", "levels.py", "stock/unused.py"})


def test_a_hook_imports_from_its_folder_and_its_digest_covers_what_it_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", ["elsewhere"])
    hook, module = tmp_path / "infra.py", tmp_path / "dstream_test_tags.py"
    hook.write_text("import dstream_test_tags as tags\ndef transform(resource): tags.TEAM")
    module.write_text("TEAM = 1")
    before = ProgramHook(hook).digest
    assert ProgramHook(hook).digest == before
    module.write_text("TEAM = 2")
    assert ProgramHook(hook).digest != before

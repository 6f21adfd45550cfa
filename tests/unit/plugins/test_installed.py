"""The installed providers that `provider = "..."` can name."""

from __future__ import annotations

import sys
from pathlib import Path

from dstream.plugins import BUILT_IN, installed, resolve


def test_bundled_providers_and_those_on_the_path_are_listed(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for file in (
        first / "dstream-tide-tables",
        second / "dstream-tide-tables",
        second / "dstream-console",
        second / "dstream-sandbox",
    ):
        file.parent.mkdir(exist_ok=True)
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    (first / "dstream-notes").write_text("not a program")
    environ = {"DSTREAM_PROVIDERS": str(first), "PATH": f"{second}:{tmp_path / 'nowhere'}"}
    found = {each.name: each for each in installed(environ)}
    assert set(found) >= {*BUILT_IN, "tide_tables"}
    assert not {"notes", "sandbox"} & set(found)
    assert found["tide_tables"].where == str(first / "dstream-tide-tables")
    assert found["console"].argv == (sys.executable, "-P", "-m", BUILT_IN["console"])


def test_each_listed_provider_is_what_its_name_resolves_to(tmp_path: Path) -> None:
    (tmp_path / "dstream-tides").write_text("#!/bin/sh\n")
    (tmp_path / "dstream-tides").chmod(0o755)
    environ = {"PATH": str(tmp_path)}
    for each in installed(environ):
        assert resolve(each.name, None, tmp_path, environ) == list(each.argv)

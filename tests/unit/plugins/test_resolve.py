"""What a provider's name or path executes, and the errors if it executes nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dstream.errors import ConfigError, SourceLocation
from dstream.plugins import resolve

PLACE = SourceLocation("dstream.hcl", 3)


@pytest.fixture(autouse=True)
def _no_providers_next_to_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "bin" / "python"))


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_name_is_searched_in_order(tmp_path: Path) -> None:
    environ = {
        "DSTREAM_PROVIDERS": f"{tmp_path}/none:{tmp_path}/listed",
        "HOME": str(tmp_path / "home"),
        "PATH": f"{tmp_path}/bin",
    }
    folders = ["bin", "home/.dstream/providers", "listed", "venv/bin"]
    for folder in folders:
        path = executable(tmp_path / folder / "dstream-mssql-cdc")
        assert resolve("mssql_cdc", None, tmp_path, environ) == [str(path)]


def test_built_in_providers_are_modules_of_this_interpreter(tmp_path: Path) -> None:
    assert resolve("counter", None, tmp_path, {}) == [sys.executable, "-P", "-m", "dstream.sdk.examples.counter"]


def test_a_path_is_relative_to_the_hcl_file(tmp_path: Path) -> None:
    path = executable(tmp_path / "project" / "bin" / "reader")
    assert resolve(None, "./bin/reader", tmp_path / "project", {}) == [str(path)]
    assert resolve(None, str(path), Path("/elsewhere"), {}) == [str(path)]


def test_a_python_file_runs_with_the_same_interpreter(tmp_path: Path) -> None:
    (tmp_path / "reader.py").write_text("")
    assert resolve(None, "reader.py", tmp_path, {}) == [sys.executable, str(tmp_path / "reader.py")]


def test_a_folder_needs_a_main(tmp_path: Path) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    error = fails(None, "reader", tmp_path)
    assert error.code == "provider.not_executable"
    (folder / "__main__.py").write_text("")
    assert resolve(None, "reader", tmp_path, {}) == [sys.executable, str(folder)]


def test_a_missing_path_names_the_searched_path(tmp_path: Path) -> None:
    error = fails(None, "./gone", tmp_path)
    assert error.code == "provider.not_found"
    assert str(tmp_path / "gone") in error.hint
    assert error.place == PLACE


def test_a_file_that_is_not_executable_shows_the_fix(tmp_path: Path) -> None:
    (tmp_path / "reader").write_text("#!/bin/sh\n")
    error = fails(None, "reader", tmp_path)
    assert error.code == "provider.not_executable"
    assert error.hint.startswith("Run: chmod +x")


def test_an_unknown_name_suggests_a_close_one(tmp_path: Path) -> None:
    executable(tmp_path / "venv" / "bin" / "dstream-mssql-cdc")
    assert fails("mssql_cd", None, tmp_path).hint == 'Did you mean "mssql_cdc"?'
    assert fails("countr", None, tmp_path).hint == 'Did you mean "counter"?'
    assert "dstream-something-else" in fails("something_else", None, tmp_path).hint


def fails(name: str | None, path: str | None, folder: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        resolve(name, path, folder, {}, place=PLACE)
    return caught.value

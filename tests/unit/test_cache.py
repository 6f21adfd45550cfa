"""Cached files are private, replaced in one step, limited in number, and never required."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from dstream import cache


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "dstream"


def test_a_missing_file_reads_as_empty() -> None:
    assert cache.read("a.json") == b""


def test_a_file_is_replaced_and_readable_by_its_owner_only(folder: Path) -> None:
    cache.write("a.json", b"1")
    cache.write("a.json", b"2")

    assert cache.read("a.json") == b"2"
    assert [file.name for file in folder.iterdir()] == ["a.json"]
    assert stat.S_IMODE((folder / "a.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_created_is_ignored(folder: Path) -> None:
    folder.write_text("a file")

    cache.write("a.json", b"1")

    assert cache.read("a.json") == b""


def test_a_user_without_a_home_folder_gets_no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unknown(_: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.chdir(tmp_path)
    cache.write("a.json", b"1")
    assert cache.read("a.json") == b""
    assert list(tmp_path.iterdir()) == []

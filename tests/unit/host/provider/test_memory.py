"""What the cache remembers applies to one executable only, and a missing cache is not an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from dstream.host.provider.memory import Remembered, patience_s, recall, remember, remember_protocol


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "dstream" / "providers.json"


def test_a_remembered_provider_is_recalled(tmp_path: Path) -> None:
    remember(["prog", "a"], Remembered(is_legacy=True, config_schema={"type": "object"}))
    assert recall(["prog", "a"]) == Remembered(is_legacy=True, config_schema={"type": "object"})
    assert recall(["prog", "b"]) == Remembered()


def test_a_new_build_is_a_new_executable(tmp_path: Path) -> None:
    program = tmp_path / "prog"
    program.write_text("first")
    remember([str(program)], Remembered(is_legacy=True))
    assert recall([str(program)]).is_legacy
    program.write_text("second")
    assert recall([str(program)]) == Remembered()


def test_a_folder_is_identified_by_its_main_file(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text("first")
    remember(["python", str(tmp_path)], Remembered(is_legacy=True))
    (tmp_path / "__main__.py").write_text("second")
    assert recall(["python", str(tmp_path)]) == Remembered()


def test_the_oldest_entries_are_evicted(cache: Path) -> None:
    for number in range(300):
        remember(["prog", str(number)], Remembered(is_legacy=True))
    assert not recall(["prog", "0"]).is_legacy
    assert recall(["prog", "299"]).is_legacy
    assert recall(["prog", "60"]).is_legacy


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"a":1}', b"[" * 5000])
def test_a_broken_cache_counts_as_empty(content: bytes, cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_bytes(content)
    assert recall(["prog"]) == Remembered()
    remember(["prog"], Remembered(is_legacy=True))
    assert recall(["prog"]).is_legacy


def test_an_unwritable_cache_is_not_an_error(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    remember(["prog"], Remembered(is_legacy=True))
    assert recall(["prog"]) == Remembered()


def test_a_known_legacy_provider_is_waited_for_at_most_one_second() -> None:
    assert patience_s(["prog"], 5.0) == 5.0
    remember(["prog"], Remembered(config_schema={}))
    remember_protocol(["prog"], is_legacy=True)
    assert (patience_s(["prog"], 5.0), patience_s(["prog"], 0.5)) == (1.0, 0.5)
    remember_protocol(["prog"], is_legacy=False)
    assert patience_s(["prog"], 5.0) == 5.0
    assert recall(["prog"]).config_schema == {}

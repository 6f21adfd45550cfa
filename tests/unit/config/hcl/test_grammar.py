"""The grammar is loaded late, and its cache is kept where it can be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import hcl2.parser
import pytest

from dstream.config.hcl import grammar


def test_importing_the_package_does_not_load_the_grammar() -> None:
    code = "import sys, dstream.config; print([name for name in ('hcl2', 'lark') if name in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_the_cache_moves_to_the_user_when_the_installation_is_read_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hcl2.parser, "PARSER_FILE", tmp_path / "not there" / "cache.bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    grammar._keep_cache_writable.__wrapped__()

    cache = hcl2.parser.PARSER_FILE
    assert cache == tmp_path / "cache" / "dstream" / "hcl2-grammar.bin"
    assert cache.parent.is_dir()


def test_the_cache_stays_beside_the_code_where_that_can_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hcl2.parser, "PARSER_FILE", tmp_path / "cache.bin")

    grammar._keep_cache_writable.__wrapped__()

    cache = hcl2.parser.PARSER_FILE
    assert cache == tmp_path / "cache.bin"

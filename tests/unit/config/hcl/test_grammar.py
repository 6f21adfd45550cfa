"""The grammar is loaded only for files that are not cached, and its own cache is kept in a writable folder."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import hcl2
import hcl2.parser
import pytest

from dstream.config.gotemplate import render
from dstream.config.hcl import grammar
from dstream.config.hcl.parse import parse
from dstream.config.hcl.source import SourceFile
from dstream.config.hcl.syntax import Body, Literal

TEXT = """
task "orders" {
  password = "hunter2"
  text     = "a ${var.b} c"
}
"""


def test_importing_the_package_does_not_load_the_grammar() -> None:
    code = "import sys, dstream.config; print([name for name in ('hcl2', 'lark') if name in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_a_read_only_installation_uses_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hcl2.parser, "PARSER_FILE", tmp_path / "not there" / "cache.bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    grammar._keep_cache_writable.__wrapped__()

    cache = hcl2.parser.PARSER_FILE
    assert cache == tmp_path / "cache" / "dstream" / "hcl2-grammar.bin"
    assert cache.parent.is_dir()


def test_a_writable_installation_keeps_the_cache_next_to_the_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hcl2.parser, "PARSER_FILE", tmp_path / "cache.bin")

    grammar._keep_cache_writable.__wrapped__()

    cache = hcl2.parser.PARSER_FILE
    assert cache == tmp_path / "cache.bin"


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "dstream" / "syntax"


def test_a_cached_file_does_not_need_the_grammar(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _body(TEXT)
    monkeypatch.delattr(hcl2, "parses_to_tree")

    assert _body(TEXT) == first


def test_a_changed_expression_in_a_string_is_parsed_again(cache: Path) -> None:
    _body(TEXT)

    assert _body(TEXT.replace("var.b", "5 + 1")) != _body(TEXT)


def test_changed_text_in_a_string_is_not_served_from_the_cache(cache: Path) -> None:
    _body(TEXT)

    changed = _body(TEXT.replace("hunter2", "hunter3"))

    value = changed.blocks[0].body.attributes[0].value
    assert isinstance(value, Literal)
    assert value.value == "hunter3"


def test_the_cache_contains_no_string_values(cache: Path) -> None:
    _body(TEXT)

    (file,) = cache.iterdir()
    assert "password" in file.read_text()
    assert "hunter2" not in file.read_text()


@pytest.mark.parametrize(
    ("text", "cached"),
    [
        ('a = "{{ env "PIN" }}"', True),
        ("a = {{ env `PIN` | quote }}", True),
        ("a = 1 # {{ env `PIN` }}", True),
        ("a = {{ env `PIN` }}", False),
        ('a = "${ {{ env `PIN` }} + 1 }"', False),
    ],
)
def test_template_output_outside_strings_is_not_cached(cache: Path, text: str, cached: bool) -> None:
    parse(render("dstream.hcl", text, environ={"PIN": "73551"}, now=lambda: datetime.now(UTC)))

    assert cache.exists() == cached
    if cached:
        assert "73551" not in next(cache.iterdir()).read_text()


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b'{"a": [1, 2]}'])
def test_a_damaged_cache_is_replaced(cache: Path, content: bytes) -> None:
    first = _body(TEXT)
    (file,) = cache.iterdir()
    valid = file.read_bytes()
    file.write_bytes(content)

    assert _body(TEXT) == first
    assert file.read_bytes() == valid


def test_a_new_version_of_the_grammar_is_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _body(TEXT)
    monkeypatch.setattr(grammar, "_versions", lambda: "hcl2 99")

    _body(TEXT)

    assert len(list(cache.iterdir())) == 2


def _body(text: str) -> Body:
    return parse(SourceFile("dstream.hcl", text, text))

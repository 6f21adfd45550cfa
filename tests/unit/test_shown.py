"""Text from others is escaped before a terminal, a log or a CI system can act on it."""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path

import pytest

from dstream.shown import on_stream, shown, shown_lines
from dstream.streams import LossyStream, ResultStream

ROOT = Path(__file__).parents[2]
SEQUENCES = ["\x1b]0;title\x07", "\x1b]52;c;ZWNobw==\x1b\\", "\x9b31m", "\x7f", "\u202eevil", "\u200bhidden", "\ud800"]


@pytest.mark.parametrize("text", SEQUENCES)
def test_every_character_that_a_terminal_would_obey_is_escaped_and_stays_valid_json(text: str) -> None:
    for escape in (shown, shown_lines, on_stream):
        assert escape(text).isprintable()
        assert json.loads(escape(json.dumps(text, ensure_ascii=False))) == text


def test_text_within_a_line_stays_on_it() -> None:
    assert shown("a\nb\r\tc\u2028d") == r"a\nb\r\tc\u2028d"
    assert shown_lines("a\nb\tc") == "a\nb\tc"


@pytest.mark.parametrize(
    "line",
    ["::error::x", "  ::add-mask::x", "text\n::stop-commands::x", "a ##[group]x", "##vso[task.complete]", "##VSO[x]"],
)
def test_commands_of_ci_systems_lose_their_first_character(line: str) -> None:
    for escape in (shown_lines, on_stream):
        assert not re.search(r"^\s*::|##(?:vso)?\[", escape(line), re.MULTILINE | re.IGNORECASE)
    assert shown("Acme::Store and ## heading") == "Acme::Store and ## heading"


def test_colors_and_the_redrawn_line_of_dstream_pass() -> None:
    own = "\r\x1b[K\x1b[31mred\x1b[0m \x1b[1mbold\x1b[0m\n"
    assert on_stream(own) == own
    assert "\x1b" not in on_stream("\x1b[8mhidden\x1b[2J\x1b[38;5;1m")


@pytest.mark.parametrize("kind", [ResultStream, LossyStream])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_nothing_is_written_past_the_streams(kind: type[ResultStream | LossyStream], encoding: str) -> None:
    import click

    reader, writer = os.pipe()
    with open(reader, "rb") as read:
        with open(writer, "wb"):
            stream = kind(writer, encoding)
            click.echo("\x9b2J", file=stream)
            print("\x9b2J", file=stream)  # like a library's warning
            click.echo("\x9b2J".encode(), file=stream)
            click.echo(b"\x9b2J", file=stream)  # not UTF-8
        assert read.read() == b"\\u009b2J\n" * 3 + b"\\x9b2J\n"


FOREIGN = {
    "name",
    "type",
    "id",
    "note",
    "confirm",
    "where",
    "detail",
    "reason",
    "stored_at",
    "run_id",
    "input",
    "output",
}
"""Fields that providers, servers and files fill in."""
TASKS = {"task", "project"}
"""Checked by the configuration, which allows letters, digits, `_` and `-` in names of tasks."""


@pytest.mark.parametrize(
    "file", sorted((ROOT / "dstream/cli").rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT))
)
def test_no_command_prints_a_field_from_others_without_escaping_it(file: Path) -> None:
    text = file.read_text()
    raw = [
        f"{file.name}:{node.lineno}: {ast.unparse(node)}"
        for call in ast.walk(ast.parse(text))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) in ("click.echo", "click.secho", "click.prompt", "print")
        for node in _unescaped(call)
        if node.attr in FOREIGN and ast.unparse(node.value).split(".")[-1] not in TASKS
    ]
    assert raw == []


@pytest.mark.parametrize("folder", ["dstream/cli", "dstream/telemetry", "dstream/host", "dstream/infra", "sandbox"])
def test_no_module_writes_past_the_streams(folder: str) -> None:
    past = re.compile(r"\bstd(?:out|err)\.buffer|\bsys\.__std|\bos\.write\([12],|\b(?:fd)?open\([12],")
    assert [str(file) for file in (ROOT / folder).rglob("*.py") if past.search(file.read_text())] == []


def _unescaped(node: ast.AST) -> list[ast.Attribute]:
    """The fields in an expression that no escaping function has as its argument."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) in (
        "shown",
        "shown_lines",
        "displayed",
        "json.dumps",
        "len",
    ):
        return []
    if isinstance(node, ast.Attribute):
        return [node]
    return [each for child in ast.iter_child_nodes(node) for each in _unescaped(child)]

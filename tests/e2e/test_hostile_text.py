"""Names, rows, log lines and files with hostile text, through real processes: see also tests/fuzz/test_hostile_text.py."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conformance.commands import Place
from tests.running import DStream

NAMES = ["\x1b]0;title\x07", "\x9b2J\u202e", "a\n::error::x\r##vso[task.complete]"]
PROVIDER = """#!/usr/bin/env python3
import json, sys
sys.stdin.readline()
sys.stderr.write("\\x1b]0;t\\x07\\n::error::x\\n  ::stop-commands::x\\n##vso[task.complete]\\n")
sys.stderr.flush()
for name in %r:
    print(json.dumps({"level": "info", "msg": name, "time": name, "self": name, name: name}), flush=True)
    print(json.dumps({"data": {"name": name}, "metadata": {}}, ensure_ascii=False), flush=True)
"""
_OBEYED = re.compile(r"[^\n\t -~\xa1-\uffff]|[\u2028\u2029\u202a-\u202e]|^\s*::|##(?:vso)?\[", re.MULTILINE)


def harmless(*outputs: str) -> None:
    for text in outputs:
        assert not _OBEYED.search(text), ascii(text)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.task(resources={name: {"filter": name} for name in NAMES})
    return place


def test_lifecycle_commands_escape_the_names_of_resources(place: Place) -> None:
    for arguments in (
        ["plan", "t", "--out", "t.plan"],
        ["plan", "--show", "t.plan"],
        ["plan", "t", "--markdown", "-"],
        ["plan", "t", "--json"],
        ["init", "t", "--yes", "--log-format", "json"],
        ["status", "t"],
        ["destroy", "t", "--yes", "--json-stream"],
    ):
        done = place.dstream(*arguments)
        assert done.returncode == 0, done.stderr
        harmless(done.stdout, done.stderr)


def test_a_terminal_gets_no_sequence_of_a_name(place: Place) -> None:
    _, output = place.at_a_terminal(b"n\n", "init", "t")
    assert "\\u001b]0;title" in output
    harmless(re.sub(r"\x1b\[[\d;]*m|\r", "", output))


def test_json_keeps_the_names(place: Place) -> None:
    (task,) = json.loads(place.dstream("plan", "t", "--json").stdout)["tasks"]
    assert {each["name"] for each in task["resources"]} >= set(NAMES)


def test_a_run_escapes_what_its_providers_write(tmp_path: Path) -> None:
    provider = tmp_path / "provider.py"
    provider.write_text(PROVIDER % NAMES)
    provider.chmod(0o755)
    (tmp_path / "dstream.hcl").write_text(
        'task "t" {\n  input {\n    provider_path = "./provider.py"\n    config {}\n  }\n'
        '  output {\n    provider = "console"\n    config {}\n  }\n}\n'
    )
    for log_format in ("text", "json"):
        done = DStream(tmp_path)("run", "t", "--log-format", log_format, "--no-restart")
        assert "\\u001b]0;title" in done.stderr
        assert "time_" in done.stderr
        harmless(done.stdout, done.stderr)

"""`dstream deadletter` with an output provider of any kind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dstream.cli.commands.deadletter import choose, letters_view
from dstream.errors import ConfigError
from dstream.protocol.dead_letters import DeadLetter
from tests.warm import run_dstream

PROVIDER = """\
import msgspec
from dstream.sdk import DeadLetter, DeadLetterStore, OutputProvider, Secret, StdioProviderHost
from dstream.sdk.errors import LockedError

class Config(msgspec.Struct):
    password: Secret[str]

class Store(DeadLetterStore):
    def letters(self):
        rows = open("letters").read().splitlines()
        return [DeadLetter(n, f"id-{row}", "refused", detail="hunter2 is wrong", size=len(row)) for n, row in enumerate(rows, 1)]

    def row(self, letter):
        return b'{"data":{"n":1.50,"s":"' + letter.id.encode() + b'"}}'

    def replay(self, letters, stop):
        for letter in letters:
            outcome = "rejected" if letter.id == "id-bad" else "delivered"
            yield DeadLetter(letter.index, letter.id, letter.reason, detail="still bad", outcome=outcome)

    def purge(self, letters):
        rows = open("letters").read().splitlines()
        gone = {letter.index for letter in letters}
        open("letters", "w").write("".join(row + "\\n" for n, row in enumerate(rows, 1) if n not in gone))

    def close(self):
        open("closed", "w").close()

class Sink(OutputProvider[Config]):
    def write(self, batch):
        pass

    def dead_letters(self, *, exclusive):
        if os.path.exists("locked") and exclusive:
            raise LockedError("sink.locked", "another command is at it")
        return Store()

import os
StdioProviderHost(Sink).run()
"""
TASK = """
task "t" {{
  input {{
    provider = "counter"
    config {{}}
  }}
  output {{
    {output}
  }}
}}
"""


def project(folder: Path, output: str = 'provider_path = "./sink"\n config { password = "hunter2" }') -> None:
    (folder / "sink.py").write_text(PROVIDER)
    (folder / "sink").write_text(f"#!/bin/sh\nexec {sys.executable} {folder / 'sink.py'}\n")
    (folder / "sink").chmod(0o755)
    (folder / "letters").write_text("a\nbad\nc\n")
    (folder / "dstream.hcl").write_text(TASK.format(output=output))


def deadletter(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = run_dstream(["deadletter", *arguments], folder, os.environ, timeout_s=120.0)
    assert "hunter2" not in done.stdout + done.stderr
    return done


def test_letters_are_listed_shown_replayed_and_purged(tmp_path: Path) -> None:
    project(tmp_path)
    listed: dict[str, Any] = json.loads(deadletter(tmp_path, "list", "t", "--json").stdout)
    assert listed["schema_version"] == 1
    assert [(each["index"], each["id"], each["detail"]) for each in listed["dead_letters"]] == [
        (1, "id-a", "*** is wrong"),
        (2, "id-bad", "*** is wrong"),
        (3, "id-c", "*** is wrong"),
    ]
    assert (tmp_path / "closed").exists()

    shown = deadletter(tmp_path, "show", "t", "id-c", "--json").stdout
    assert '"event":{"data":{"n":1.50,"s":"id-c"}}' in shown

    replayed = deadletter(tmp_path, "replay", "t", "--json")
    assert replayed.returncode == 1
    assert json.loads(replayed.stdout)["delivered"] == 2
    assert [each["id"] for each in json.loads(replayed.stdout)["rejected"]] == ["id-bad"]

    assert json.loads(deadletter(tmp_path, "purge", "t", "--only", "2", "--yes", "--json").stdout)["purged"] == 1
    assert (tmp_path / "letters").read_text() == "a\nc\n"


def test_a_provider_that_keeps_none_says_so(tmp_path: Path) -> None:
    project(tmp_path, 'provider = "console"\n config {}')
    done = deadletter(tmp_path, "list", "t")
    assert (done.returncode, "[provider.no_dead_letters]" in done.stderr) == (3, True)


def test_a_locked_store_can_be_listed_but_not_changed(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "locked").touch()
    assert deadletter(tmp_path, "list", "t").returncode == 0
    assert deadletter(tmp_path, "replay", "t").returncode == 4
    assert deadletter(tmp_path, "purge", "t", "--yes").returncode == 4


def test_a_provider_that_dies_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    project(tmp_path)
    script = tmp_path / "sink.py"
    dying = "import sys; sys.stderr.write('out of luck\\n'); sys.stderr.flush(); os._exit(9)"
    script.write_text(script.read_text().replace('rows = open("letters")', f'{dying}; rows = open("letters")'))
    done = deadletter(tmp_path, "list", "t")
    assert (done.returncode, done.stdout) == (1, "")
    assert "[provider.died]" in done.stderr
    assert "out of luck" in done.stderr


def test_letters_that_have_changed_since_they_were_listed_are_not_touched(tmp_path: Path) -> None:
    project(tmp_path)
    request = {"action": "purge", "letters": [{"index": 1, "id": "id-a"}, {"index": 2, "id": "id-c"}]}
    command = {"command": "dead_letters", "config": {"password": "x"}, "dead_letters": request}
    done = subprocess.run(
        [tmp_path / "sink"],
        cwd=tmp_path,
        input=json.dumps(command) + "\n",
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "DSTREAM_PROTOCOL": "1"},
        check=False,
    )
    error = json.loads(done.stdout.splitlines()[-1])
    assert (error["dstream"], error["code"], error["kind"]) == ("error", "deadletter.changed", "refused")
    assert (tmp_path / "letters").read_text() == "a\nbad\nc\n"


LETTERS = [DeadLetter(1, "2", "refused", "2026-11-30T09:12:04Z", "orders", size=1234), DeadLetter(2, "b", "oversize")]


def test_letters_are_chosen_by_index_or_id() -> None:
    assert choose(LETTERS, [], "t") == LETTERS
    assert choose(LETTERS, ["b", "1"], "t") == LETTERS
    for name, code in (("2", "deadletter.ambiguous"), ("3", "deadletter.unknown")):
        with pytest.raises(ConfigError) as caught:
            choose(LETTERS, [name], "t")
        assert caught.value.code == code


def test_the_list_is_a_table() -> None:
    assert letters_view(LETTERS) == [
        "INDEX  TIME                  ENTITY  REASON    BYTES  ID",
        "1      2026-11-30T09:12:04Z  orders  refused   1,234  2",
        "2                                    oversize  0      b",
    ]

"""`dstream doctor TASK` lets providers connect and shows what they find."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from dstream.state import FileStore, StoredState
from tests.warm import run_dstream

PROVIDER = """\
import msgspec
from dstream.sdk import Finding, InputProvider, OutputProvider, Secret, StdioProviderHost
from dstream.sdk.errors import UnreachableError

class Config(msgspec.Struct):
    password: Secret[str]
    rows: int = 0

class {name}({base}[Config]):
    def doctor(self, state):
        yield Finding("ok", "login", f"signed in with {{self.config.password.reveal()}}")
        yield Finding("warning", "retention", f"{{self.config.rows}} rows since {{state.get('at', 'the start')}}", "Run it.")
        {end}

    def close(self):
        open("closed-{name}", "w").close()

StdioProviderHost({name}).run()
"""


def project(folder: Path, *, output_ends: str = "return") -> None:
    for role, base, end in (("source", "InputProvider", "return"), ("sink", "OutputProvider", output_ends)):
        script = folder / f"{role}.py"
        script.write_text(PROVIDER.format(name=role.capitalize(), base=base, end=end))
        launcher = folder / role
        launcher.write_text(f"#!/bin/sh\nexec {sys.executable} {script}\n")
        launcher.chmod(0o755)
    (folder / "dstream.hcl").write_text(
        """
        task "t" {
          input {
            provider_path = "./source"
            config {
              password = "hunter2-input"
              rows     = "7"
            }
          }
          output {
            provider_path = "./sink"
            config { password = "hunter2-output" }
          }
        }
        """
    )


def doctor(folder: Path, *arguments: str) -> tuple[int, list[tuple[str, str, str, str]]]:
    done = run_dstream(["doctor", "--json", *arguments], folder, os.environ, timeout_s=120.0)
    assert "hunter2" not in done.stdout + done.stderr
    findings = json.loads(done.stdout)["findings"]
    return done.returncode, [
        (each["mark"], each["subject"], each["text"], each["fix"]) for each in findings if each["about"] == "t"
    ]


def test_findings_are_shown_without_secrets_and_an_error_is_the_last(tmp_path: Path) -> None:
    project(tmp_path, output_ends='raise UnreachableError("x.down", "cannot reach it", hint="Start it.")')
    stored = StoredState(
        task="t",
        input="source",
        output="sink",
        seq=1,
        stored_at="2026-01-01T00:00:00Z",
        run_id="r",
        state=msgspec.Raw(b'{"at":"row 5"}'),
    )
    store = FileStore(tmp_path / ".dstream" / "state", "dev", "t")
    with store.lease(datetime.now(UTC)) as lease:
        store.save(stored, lease)
    code, found = doctor(tmp_path, "t")
    assert code == 3
    assert [each for each in found if each[1].split()[0] not in ("input", "output")] == [
        ("ok", "login", "signed in with ***", ""),
        ("warning", "retention", "7 rows since row 5", "Run it."),
        ("ok", "login", "signed in with ***", ""),
        ("warning", "retention", "0 rows since the start", "Run it."),
        ("failure", "sink", "cannot reach it", "Start it."),
    ]
    assert (tmp_path / "closed-Source").exists()


def test_nothing_connects_without_a_task_or_with_offline(tmp_path: Path) -> None:
    project(tmp_path)
    for arguments in ((), ("t", "--offline")):
        code, found = doctor(tmp_path, *arguments)
        assert (code, [subject for _, subject, _, _ in found]) == (0, ["input ./source", "output ./sink"])
    assert not (tmp_path / "closed-Source").exists()


def test_a_provider_that_dies_is_a_failure_with_its_last_words(tmp_path: Path) -> None:
    project(tmp_path, output_ends="import os, sys; sys.stderr.write('out of luck\\n'); sys.stderr.flush(); os._exit(9)")
    code, found = doctor(tmp_path, "t")
    mark, subject, text, _ = found[-1]
    assert (code, mark, subject) == (3, "failure", "./sink")
    assert text.splitlines() == ["exited", "out of luck"]

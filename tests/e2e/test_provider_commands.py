"""`dstream provider ...`, and a new provider from the template to its first rows, with real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dstream.kit import CHECKS
from tests.running import DStream

BROKEN = Path(__file__).parent.parent / "conformance" / "broken_providers"


@pytest.fixture
def dstream(tmp_path: Path) -> DStream:
    return DStream(tmp_path)


@pytest.mark.parametrize("kind", ["input", "transform", "output", "infrastructure"])
def test_a_new_provider_runs_unchanged_and_passes_its_own_test(kind: str, dstream: DStream, tmp_path: Path) -> None:
    made = dstream("provider", "new", "tide-tables", "--kind", kind)
    assert made.returncode == 0, made.stderr
    assert "dstream provider test tide-tables/dstream_tide_tables.py" in made.stdout
    folder = tmp_path / "tide-tables"
    project = DStream(folder)
    if kind == "infrastructure":
        refused = project("run", "tide_tables")
        assert (refused.returncode, "Create it: `dstream init tide_tables`" in refused.stderr) == (3, True)
        assert project("init", "tide_tables", "--yes").returncode == 0
        assert project("plan", "tide_tables", "--detailed-exitcode").returncode == 0
    flags = ("--max-rows", "3") if kind == "input" else ()
    ran = project("run", "tide_tables", *flags)
    assert ran.returncode == 0, ran.stderr
    if kind == "transform":
        assert ran.stderr.count('"source":"tide_tables"') == 20
    elif kind != "input":
        written = folder / ("rows.jsonl" if kind == "output" else "tide_tables.rows.jsonl")
        rows = [json.loads(line)["data"] for line in written.read_text().splitlines()]
        assert rows == [{"value": number} for number in range(1, 21)]
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
    )  # fmt: skip
    assert tested.returncode == 0, tested.stdout
    assert "1 passed" in tested.stdout
    checked = project("validate", "--json")
    assert json.loads(checked.stdout)["unchecked"] == []
    shown = project("provider", "show", "dstream_tide_tables.py", "--json")
    document = json.loads(shown.stdout)
    assert (document["name"], document["role"], document["version"]) == (
        "tide_tables",
        "output" if kind == "infrastructure" else kind,
        "0.1.0",
    )
    if kind == "infrastructure":
        assert project("destroy", "tide_tables", "--yes").returncode == 0
        assert json.loads((folder / "tide_tables.json").read_text()) == {}


def test_new_overwrites_nothing_and_refuses_invalid_names(dstream: DStream, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name, code in (("there", "provider.exists"), ("../up", "provider.bad_name"), ("Tides", "provider.bad_name")):
        refused = dstream("provider", "new", name, "--kind", "input")
        assert refused.returncode == 3
        assert code in refused.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "there"]
    assert list((tmp_path / "there").iterdir()) == []


def test_the_report_explains_each_failure_and_cites_the_rule(dstream: DStream) -> None:
    script = BROKEN / "miscounts_rows.py"
    done = dstream("provider", "test", script, "--role", "input")
    assert done.returncode == 1
    assert "✓ sends hello first" in done.stdout
    assert (
        "  ✗ counts its rows\n"
        "      checkpoint 2 has n = 4, but 3 rows arrived since the previous one\n"
        "      The n of a checkpoint is the number of rows since the previous one.\n"
        "      (docs/reference/protocol.md, Rows and checkpoints)\n"
    ) in done.stdout
    assert done.stdout.endswith("\n\n17 passed, 1 failed, 3 skipped.\n")
    assert done.stderr == ""


def test_the_json_report_lists_every_check(dstream: DStream) -> None:
    done = dstream("provider", "test", "console", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["schema_version"], document["passed"]) == (0, 1, True)
    assert [each["name"] for each in document["checks"]] == [
        check.name
        for check in CHECKS
        if check.role in (None, "output") and not check.infrastructure and not check.capability
    ]
    assert {each["outcome"] for each in document["checks"]} == {"passed"}


def test_untestable_arguments_are_a_usage_error(dstream: DStream, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "text.json").write_text("{")
    for arguments, words in (
        (("nowhere",), 'provider "nowhere" is not installed'),
        (("./nowhere",), 'provider_path "./nowhere" does not exist'),
        (("counter", "--config", "missing.json"), "does not exist"),
        (("counter", "--config", "list.json"), "must contain a JSON object"),
        (("counter", "--config", "text.json"), "is not valid JSON"),
        (("counter", "--role", "both"), "both"),
    ):
        done = dstream("provider", "test", *arguments)
        assert (done.returncode, words in done.stderr) == (3, True), done.stderr


def test_list_shows_installed_providers_and_their_roles(dstream: DStream, tmp_path: Path) -> None:
    silent = tmp_path / "bin" / "dstream-broken"
    silent.parent.mkdir()
    silent.write_text("#!/bin/sh\nexit 1\n")
    silent.chmod(0o755)
    with_broken = DStream(tmp_path, {**os.environ, "DSTREAM_PROVIDERS": str(silent.parent)})
    found = {
        each["installed_as"]: each for each in json.loads(with_broken("provider", "list", "--json").stdout)["providers"]
    }
    assert found["counter"]["role"] == "input"
    assert found["mssql_cdc"]["where"].endswith("dstream-mssql-cdc")
    assert "once" in found["mssql_cdc"]["capabilities"]
    assert found["broken"]["role"] is None
    lines = with_broken("provider", "list").stdout.splitlines()
    assert lines[0].split() == ["name", "role", "version", "where"]
    assert f"broken               cannot start  -        {silent}" in lines
    assert any(line.startswith("servicebus           output        0.1.0") for line in lines)


def test_show_lists_the_settings_and_marks_secrets(dstream: DStream) -> None:
    shown = dstream("provider", "show", "mssql_cdc").stdout
    assert shown.startswith("mssql_cdc 0.1.0 · input · ")
    assert "\n  db_connection_string   text; secret; required\n" in shown
    assert '\n  poll_interval   text or number, e.g. "250ms"; default "1s"\n' in shown
    settings = {
        each["path"]: each
        for each in json.loads(dstream("provider", "show", "servicebus", "--json").stdout)["settings"]
    }
    assert settings["batch.max_messages"]["default"] == "4000"
    assert settings["connectionString"]["secret"] is True


def test_show_refuses_a_provider_that_cannot_describe_itself(dstream: DStream) -> None:
    done = dstream("provider", "show", BROKEN / "good_input.py")
    assert done.returncode == 3
    assert "provider.not_described" in done.stderr


def test_a_setting_added_in_a_module_of_the_provider_is_accepted_at_once(dstream: DStream, tmp_path: Path) -> None:
    """The schema is cached by the executable's own file, which does not change."""
    (tmp_path / "tally.py").write_text(
        "from tally_settings import Settings\n"
        "from dstream.sdk import Checkpoint, InputProvider, StdioProviderHost\n"
        "class Tally(InputProvider[Settings]):\n"
        "    def read(self, state, stop):\n"
        "        yield Checkpoint({})\n"
        "if __name__ == '__main__':\n"
        "    StdioProviderHost(Tally).run()\n"
    )
    settings = "import msgspec\nclass Settings(msgspec.Struct, forbid_unknown_fields=True):\n    first: int = 1\n"
    (tmp_path / "tally_settings.py").write_text(settings)
    hcl = (
        'task "t" {{\n  input {{\n    provider_path = "./tally.py"\n    config {{\n{}    }}\n  }}\n'
        '  output {{\n    provider = "console"\n  }}\n}}\n'
    )
    (tmp_path / "dstream.hcl").write_text(hcl.format("      first = 2\n"))
    assert dstream("run", "t").returncode == 0

    (tmp_path / "tally_settings.py").write_text(settings + "    last_of_all: int = 1\n")
    (tmp_path / "dstream.hcl").write_text(hcl.format("      last_of_all = 2\n"))
    done = dstream("run", "t")

    assert done.returncode == 0, done.stderr
    (tmp_path / "dstream.hcl").write_text(hcl.format("      last_of_them = 2\n"))
    assert dstream("run", "t").returncode == 3


@pytest.mark.parametrize("limit", ["max_count", "maxCount"])
def test_the_examples_have_the_settings_of_the_original(dstream: DStream, tmp_path: Path, limit: str) -> None:
    """Those of its dstream.hcl and of its counter and console providers (katasec/dstream)."""
    (tmp_path / "dstream.hcl").write_text(
        'task "t" {\n  type = "providers"\n  input {\n    provider = "counter"\n'
        f"    config {{\n      interval = 1\n      {limit} = 2\n    }}\n  }}\n"
        '  output {\n    provider = "console"\n    config { outputFormat = "simple" }\n  }\n}\n'
    )
    done = dstream("run", "t", "--log-format", "json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line).get("message", "") for line in done.stderr.splitlines()]
    assert [line for line in lines if line.startswith("Message")] == [
        'Message #1: {"value":1}',
        'Message #2: {"value":2}',
    ]

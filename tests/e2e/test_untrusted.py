"""A checkout that nobody has reviewed yet: what the commands refuse to run or read from it."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path

import pytest

from tests.running import DStream, planted_modules

COUNT = """
task "count" {
  input {
    provider = "counter"
    config { count = 1 }
  }
  output { provider = "console" }
}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> DStream:
    (tmp_path / "dstream.hcl").write_text(COUNT)
    return DStream(tmp_path)


@pytest.mark.parametrize("command", [["validate"], ["run", "count", "--max-rows", "1", "--output", "-"]])
def test_modules_next_to_the_file_are_not_imported(checkout: DStream, tmp_path: Path, command: list[str]) -> None:
    ran = planted_modules(tmp_path)
    assert checkout(*command).returncode == 0
    assert not ran.exists()


@pytest.mark.parametrize("way", ["input", "output", "transform"])
def test_a_static_check_starts_no_provider(checkout: DStream, tmp_path: Path, way: str) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    program.chmod(0o755)
    blocks = {"input": 'provider = "counter"', "output": 'provider = "console"', way: 'provider_path = "./program"'}
    text = "\n".join(f"  {name} {{ {attribute} }}" for name, attribute in blocks.items())
    (tmp_path / "dstream.hcl").write_text(f'task "count" {{\n{text}\n}}\n')

    document = json.loads(checkout("validate", "--static", "--json").stdout)
    assert {(each["role"], each["reason"]) for each in document["unchecked"]} == {
        (name, "--static starts no provider") for name in blocks
    }
    assert not (tmp_path / "ran").exists()
    checkout("validate")
    assert (tmp_path / "ran").exists()


def test_a_static_check_reports_the_errors_in_the_file(checkout: DStream, tmp_path: Path) -> None:
    (tmp_path / "dstream.hcl").write_text(COUNT.replace("count = 1", "count = local.nothing"))
    done = checkout("validate", "--static")
    assert done.returncode == 3
    assert 'unknown local "nothing"' in done.stderr


@pytest.mark.parametrize("command", [["validate"], ["plan", "count"]])
def test_an_untrusted_file_starts_no_program_and_reads_nothing(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "dstream.hcl").write_text(COUNT.replace("count = 1", 'count = env("SHLVL", 1)'))
    by_option = DStream(tmp_path)(*command, "--untrusted")
    by_environment = DStream(tmp_path, {**os.environ, "DSTREAM_UNTRUSTED": "1"})(*command)
    for done in (by_option, by_environment) if command == ["validate"] else ():
        assert done.returncode == 5, done.stderr
        assert "env() is refused in an untrusted file" in done.stderr
        assert "dstream.hcl:5:" in done.stderr

    program = tmp_path / "program.py"
    program.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (tmp_path / "dstream.hcl").write_text(COUNT.replace('provider = "console"', 'provider_path = "program.py"'))
    assert DStream(tmp_path)(*command, "--untrusted").returncode == 5
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("command", [["validate"], ["run", "count"], ["plan", "count"], ["doctor", "count"]])
def test_providers_that_are_not_listed_do_not_start(checkout: DStream, tmp_path: Path, command: list[str]) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    text = COUNT.replace('provider = "console"', 'provider_path = "program.py"')
    (tmp_path / "dstream.hcl").write_text(f'dstream {{\n  allowed_providers = ["counter"]\n}}\n{text}')
    done = checkout(*command)
    assert done.returncode == 3
    assert "is not in allowed_providers" in done.stdout + done.stderr
    assert not (tmp_path / "ran").exists()


SPY = """\
#!/bin/sh
env > "@SEEN@"
"""


@pytest.fixture
def spied(tmp_path: Path) -> Path:
    """The environment that the provider `spy` got."""
    spy = tmp_path / "bin" / "dstream-spy"
    spy.parent.mkdir()
    spy.write_text(SPY.replace("@SEEN@", str(tmp_path / "seen")))
    spy.chmod(0o755)
    return tmp_path / "seen"


GIVEN = {"GITHUB_TOKEN": "a", "DSTREAM_VAR_x": "b", "ARM_CLIENT_ID": "c", "AWS_PROFILE": "d"}
LIMITED = {"ARM_CLIENT_ID", "AWS_PROFILE"}


@pytest.mark.parametrize(
    ("command", "usual"), [(["validate"], LIMITED), (["plan", "count"], GIVEN.keys())], ids=["validate", "plan"]
)
def test_providers_get_a_limited_environment(
    tmp_path: Path, spied: Path, command: list[str], usual: Collection[str]
) -> None:
    (tmp_path / "dstream.hcl").write_text(COUNT.replace('"console"', '"spy"'))
    folders = {"DSTREAM_PROVIDERS": str(tmp_path / "bin"), "DSTREAM_PASS_ENV": "AWS_PROFILE"}
    dstream = DStream(tmp_path, {**os.environ, **folders, **GIVEN})

    def seen() -> set[str]:
        lines = spied.read_text().splitlines()
        return {line.partition("=")[0] for line in lines} & GIVEN.keys()

    dstream(*command)
    assert seen() == usual
    dstream(*command, "--untrusted")
    assert seen() == LIMITED


@pytest.mark.parametrize("command", [["validate"], ["plan", "count"]])
def test_a_provider_gets_the_environment_of_its_block(tmp_path: Path, spied: Path, command: list[str]) -> None:
    block = 'provider = "spy"\n    env = { REGION = "eu", PATH = "/usr/bin:/bin", API_TOKEN = secret("env:TOKEN") }'
    (tmp_path / "dstream.hcl").write_text(COUNT.replace('{ provider = "console" }', f"{{\n    {block}\n  }}"))
    dstream = DStream(tmp_path, {**os.environ, "DSTREAM_PROVIDERS": str(tmp_path / "bin"), "TOKEN": "very-secret"})
    done = dstream(*command)
    assert {"REGION=eu", "PATH=/usr/bin:/bin", "API_TOKEN=very-secret"} <= {*spied.read_text().splitlines()}
    assert "very-secret" not in done.stdout + done.stderr

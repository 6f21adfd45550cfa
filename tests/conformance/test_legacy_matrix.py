"""Every input with every output: protocol 1, and the original protocol in three languages. Also lifecycle commands."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dstream.errors import ConfigError, exit_code
from dstream.host import ProviderSpec
from dstream.protocol.lifecycle import LifecycleName
from tests.conformance.lifecycles import CommandReport, carry_out, lifecycle_job
from tests.conformance.runs import job, provider, run, script, stored_state

HERE = Path(__file__).parent / "legacy"
ROWS = 7
LEGACY = ["python", "bash", *(["go"] if shutil.which("go") else [])]  # Go is optional
ALL = ["v1", *LEGACY]
COMMANDS: list[LifecycleName] = ["init", "plan", "status", "destroy"]
QUICK: dict[str, Any] = {"hello_timeout_s": 0.5, "legacy_ready_s": 0.2}

Make = Callable[..., ProviderSpec]


@pytest.fixture(scope="session")
def go_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("go") / "provider"
    subprocess.run(["go", "build", "-o", built, HERE / "provider.go"], check=True, timeout=120)
    return built


@pytest.fixture
def legacy(request: pytest.FixtureRequest) -> Make:
    def make(language: str, *arguments: str, **config: Any) -> ProviderSpec:
        argv = {"python": [sys.executable, "-S", "-E", str(HERE / "provider.py")], "bash": [str(HERE / "provider.sh")]}
        program = argv[language] if language in argv else [str(request.getfixturevalue("go_program"))]
        return ProviderSpec(argv=[*program, *arguments], config=config, label=language)

    return make


@pytest.mark.parametrize("output", ALL)
@pytest.mark.parametrize("input_", ALL)
def test_every_input_streams_into_every_output(input_: str, output: str, legacy: Make, tmp_path: Path) -> None:
    sink = tmp_path / "sink"
    reader = provider("input.py", 3, rows=ROWS) if input_ == "v1" else legacy(input_, "input", rows=ROWS)
    writer = provider("output.py", 12, sink=str(sink)) if output == "v1" else legacy(output, "output", str(sink))
    summary = run(job(tmp_path, input=reader, output=writer, **QUICK))
    assert summary.drained
    assert [json.loads(line)["data"]["n"] for line in sink.read_text().splitlines()] == list(range(ROWS))
    assert b'{"dstream":' not in sink.read_bytes()
    assert (stored_state(tmp_path) is not None) == (input_ == "v1")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("output", LEGACY)
def test_every_legacy_output_carries_out_every_lifecycle_command(
    output: str, command: LifecycleName, legacy: Make, tmp_path: Path
) -> None:
    spec = legacy(output, "output", str(tmp_path / "sink"))
    outcome = carry_out(lifecycle_job(spec, command=command, hello_timeout_s=0.3))
    assert (outcome.error, outcome.is_interrupted, outcome.is_legacy) == (None, False, True)
    assert outcome.message
    assert not (tmp_path / "sink").exists()


def test_a_known_legacy_output_is_not_waited_for_again(
    legacy: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    spec = legacy("python", "output", str(tmp_path / "sink"))
    carry_out(lifecycle_job(spec, hello_timeout_s=0.3))
    begun_s = time.monotonic()
    outcome = carry_out(lifecycle_job(spec, hello_timeout_s=60.0))
    assert (outcome.is_legacy, time.monotonic() - begun_s < 20.0) == (True, True)


@pytest.mark.parametrize("output", LEGACY)
def test_a_legacy_failure_fails_the_command_whatever_its_exit_code(output: str, legacy: Make, tmp_path: Path) -> None:
    spec = legacy(output, "output", str(tmp_path / "sink"), fails=True)
    error = carry_out(lifecycle_job(spec, hello_timeout_s=0.3)).error
    assert error is not None
    assert error.message == "quota exceeded"
    assert exit_code(error) == 1


@pytest.mark.parametrize("input_", ALL)
def test_an_input_in_the_output_block_refuses_lifecycle_commands(input_: str, legacy: Make) -> None:
    spec = (
        ProviderSpec(argv=script("input.py"), config={}, label="input")
        if input_ == "v1"
        else legacy(input_, "input", rows=ROWS)
    )
    report = CommandReport()
    with pytest.raises(ConfigError, match="is an input provider and doesn't support lifecycle commands") as caught:
        carry_out(lifecycle_job(spec, hello_timeout_s=0.3 if input_ != "v1" else 10.0), report)
    assert exit_code(caught.value) == 3

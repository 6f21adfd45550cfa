"""`dstream doctor` shows the requirements of any provider, as the provider reports them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from dstream.cli.commands import doctor_checks
from dstream.cli.commands.doctor_checks import ask_task
from dstream.config import load
from dstream.host.provider.describe import Introduction
from dstream.host.provider.introductions import Introductions
from dstream.protocol.messages import Description, Finding, Hello, RequirementCheck

HELLO = Hello(1, "input", "acme", "1.0", ["describe"])
REQUIREMENTS = [RequirementCheck("driver", True, "v2"), RequirementCheck("license", False, "not found", "Buy one.")]


def findings(folder: Path, monkeypatch: pytest.MonkeyPatch, introduction: Introduction) -> list[Finding]:
    """The findings of a task's input."""
    file = folder / "dstream.hcl"
    file.write_text('task "t" {\n  input { provider = "acme" }\n  output { provider = "acme" }\n}\n')
    project = load(file, environ={})
    monkeypatch.setattr(Introductions, "ask", lambda *_, **__: lambda: introduction)
    monkeypatch.setattr(doctor_checks, "spec_of", lambda *_: SimpleNamespace(argv=["/bin/acme"]))
    with Introductions(folder) as introductions:
        found = ask_task(project, project.tasks["t"], introductions, connect=False)().findings
    return list(found[: len(found) // 2])


def test_requirements_follow_their_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = findings(tmp_path, monkeypatch, Introduction(HELLO, Description({}, requirements=REQUIREMENTS)))
    assert found[1:] == [Finding("ok", "driver", "v2"), Finding("failure", "license", "not found", "Buy one.")]
    assert (found[0].mark, found[0].text) == ("ok", "1.0 at /bin/acme")


@pytest.mark.parametrize("description", [None, Description({})])
def test_a_provider_without_requirements_shows_only_itself(
    description: Description | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(findings(tmp_path, monkeypatch, Introduction(HELLO, description))) == 1

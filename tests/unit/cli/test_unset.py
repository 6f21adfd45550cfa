"""Which unset settings `status` and `destroy` can do without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dstream.cli.lifecycle import unset
from dstream.config import Project, load
from dstream.errors import ConfigErrors
from dstream.host.provider.describe import Introduction
from dstream.protocol.messages import Description

SETTINGS: dict[str, Any] = {
    "mode": {"default": "arm"},
    "subject": {"x-run-only": True},
    "key": {"x-run-only": {"mode": "arm"}},
    "namespace": {},
}


@pytest.fixture(autouse=True)
def described(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = {"$ref": "#/$defs/Config", "$defs": {"Config": {"properties": SETTINGS}}}
    introduction = Introduction(None, Description(schema))
    monkeypatch.setattr(unset.Introductions, "ask", lambda *_, **__: lambda: introduction)
    monkeypatch.setattr(unset, "spec_of", lambda *_: None)


def project(folder: Path, settings: str) -> Project:
    file = folder / "dstream.hcl"
    file.write_text(
        f'task "t" {{\n  input {{\n    provider = "counter"\n  }}\n'
        f'  output {{\n    provider = "x"\n    config {{\n{settings}\n    }}\n  }}\n}}\n'
    )
    return load(file, environ={}, defer_unset=True)


@pytest.mark.parametrize("settings", ['subject = env("A")', 'key = "x-${env("A")}"', 'mode = "arm"\nkey = env("A")'])
def test_an_unset_setting_that_only_run_needs_is_left_out(settings: str, tmp_path: Path) -> None:
    loaded = project(tmp_path, settings)
    name = "subject" if "subject" in settings else "key"
    ignored = unset.left_out(loaded, [loaded.tasks["t"]])
    assert ignored == {"t": [f"{name} ignored: the environment variable A is not set"]}


@pytest.mark.parametrize(
    "settings",
    [
        'namespace = env("A")',
        'unknown = env("A")',
        'mode = env("A")',
        'mode = "entities"\nkey = env("A")',
        'mode = env("A")\nkey = env("A")',
    ],
)
def test_any_other_unset_setting_is_an_error(settings: str, tmp_path: Path) -> None:
    loaded = project(tmp_path, settings)
    with pytest.raises(ConfigErrors) as caught:
        unset.left_out(loaded, [loaded.tasks["t"]])
    assert {each.code for each in caught.value.errors} == {"config.env_unset"}


def test_another_mistake_is_reported_immediately(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors):
        project(tmp_path, 'subject = env("A")\nnamespace = nowhere.at')

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
    return project_of(folder, f"config {{\n{settings}\n    }}")


def project_of(folder: Path, config: str, other_blocks: str = "") -> Project:
    file = folder / "dstream.hcl"
    file.write_text(
        f'{other_blocks}task "t" {{\n  input {{\n    provider = "counter"\n  }}\n'
        f'  output {{\n    provider = "x"\n    {config}\n  }}\n}}\n'
    )
    return load(file, environ={}, defer_unset=True)


@pytest.mark.parametrize("settings", ['subject = env("A")', 'key = "x-${env("A")}"', 'mode = "arm"\nkey = env("A")'])
def test_an_unset_setting_that_only_run_needs_is_left_out(settings: str, tmp_path: Path) -> None:
    loaded = project(tmp_path, settings)
    name = "subject" if "subject" in settings else "key"
    ignored = unset.left_out(loaded, [loaded.tasks["t"]])
    assert ignored == {"t": [f"{name} ignored: the environment variable A is not set"]}


@pytest.mark.parametrize(
    "config", ["local.all", "all", "merge(local.all, {namespace = local.name})", "merge({subject = 1}, local.all)"]
)
def test_the_settings_in_a_local_are_left_out_one_by_one(config: str, tmp_path: Path) -> None:
    loaded = project_of(
        tmp_path,
        f"config = {config}",
        'locals {\n  name = "n"\n  rest = {subject = env("A"), namespace = local.name}\n  all = merge(rest)\n}\n',
    )
    ignored = unset.left_out(loaded, [loaded.tasks["t"]])
    assert ignored == {"t": ["subject ignored: the environment variable A is not set"]}
    assert loaded.tasks["t"].output.config == {"namespace": "n"}


@pytest.mark.parametrize(
    "config",
    [
        'merge(local.all, env("A"))',
        'merge(local.all, {(env("A")) = 1})',
        'env("A") == "x" ? local.all : {}',
        "{for k, v in local.all : k => v}",
    ],
)
def test_a_config_whose_settings_cannot_be_told_apart_is_an_error_while_a_variable_is_unset(
    config: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigErrors) as caught:
        project_of(tmp_path, f"config = {config}", 'locals {\n  all = {subject = env("A")}\n}\n')
    assert caught.value.code == "config.env_unset"


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

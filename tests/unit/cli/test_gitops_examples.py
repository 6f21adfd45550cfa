"""The pipelines in examples/gitops fit their services' schemas, and the CLI accepts each `dstream` command in them and
the docs. `make check` runs actionlint on the GitHub workflow; tests/e2e/gitops runs the pipelines."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from dstream.cli.lifecycle.flags import Flags
from dstream.cli.main import cli
from dstream.cli.options import Options
from dstream.config import load

ROOT = Path(__file__).parent.parent.parent.parent
EXAMPLES = ROOT / "examples" / "gitops"
PIPELINES = ["azure-pipelines.yml", "github-actions.yml", "gitlab-ci.yml"]
PAGES = ["docs/guides/gitops.md", "docs/reference/cli-json.md", "README.md"]
LINE = re.compile(r"^\s*(?:- )?(?:run: |script: |\$ )?(?:exec )?(dstream .+)$", re.MULTILINE)
END = re.compile(r"\s*(\|\||&&|;|\||>|#).*$")


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def blocks(page: Path) -> Iterator[str]:
    yield from re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def lines_of(texts: Iterator[str]) -> list[str]:
    return [END.sub("", line) for text in texts for line in LINE.findall(text)]


def accept(line: str) -> None:
    """Parse the command line without running it. Raises click.UsageError."""
    _, *arguments = shlex.split(line)
    context = cli.make_context("dstream", list(arguments), resilient_parsing=False)
    name, command, rest = cli.resolve_command(context, [*context._protected_args, *context.args])
    assert command
    while isinstance(command, click.Group):
        name, command, rest = command.resolve_command(context, rest)
        assert command
    given = command.make_context(name, rest, parent=context).params
    if "json_stream" in given:
        flags = Flags(**{key: value for key, value in given.items() if key not in Options.__slots__})
        flags.check(Options(as_json=given["as_json"]))


@pytest.mark.parametrize("name", PIPELINES)
def test_the_cli_accepts_every_command_of_a_pipeline(name: str) -> None:
    text = (EXAMPLES / name).read_text()
    document = yaml.safe_load(text)
    lines = lines_of(strings(document))
    assert len(lines) >= 5
    assert len(re.findall(r"^[^#\n]*\bdstream (?:plan|init|status|validate|doctor) ?", text, re.MULTILINE)) == len(
        lines
    )
    for line in lines:
        accept(line)


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("azure-pipelines.yml", "azure-pipelines"),
        ("github-actions.yml", "github-workflows"),
        ("gitlab-ci.yml", "gitlab-ci"),
    ],
)
def test_a_pipeline_fits_its_services_schema(name: str, schema: str, tmp_path: Path) -> None:
    # Azure's schema describes scalars as text, as its parser reads them.
    loader = yaml.BaseLoader if schema == "azure-pipelines" else yaml.SafeLoader
    document = tmp_path / "pipeline.json"
    document.write_text(json.dumps(yaml.load((EXAMPLES / name).read_text().replace("\non:", '\n"on":'), loader)))
    command = ["--regex-variant", "nonunicode", "--builtin-schema", f"vendor.{schema}", str(document)]
    done = subprocess.run([sys.executable, "-m", "check_jsonschema", *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_plans_applies_that_plan_and_checks_for_drift(name: str) -> None:
    lines = lines_of(strings(yaml.safe_load((EXAMPLES / name).read_text())))
    assert any("plan" in line and "--out" in line for line in lines)
    assert any("plan" in line and "--markdown" in line for line in lines)
    assert any("init" in line and "--plan" in line and "--yes" in line for line in lines)
    assert any("status" in line and "--detailed-exitcode" in line for line in lines)


@pytest.mark.parametrize("page", PAGES)
def test_the_cli_accepts_every_command_on_a_page(page: str) -> None:
    for line in lines_of(blocks(ROOT / page)):
        if not line.startswith(("dstream demo", "dstream sandbox")):
            accept(line)


def test_an_invalid_command_is_detected() -> None:
    for line in (
        "dstream plan t --no-such-flag",
        "dstream nothing",
        "dstream plan",
        "dstream init --plan x --target y",
    ):
        with pytest.raises(click.UsageError):
            accept(line)


def test_the_example_configuration_loads_for_each_stack() -> None:
    environ = {
        "DSTREAM_BACKEND_URL": "azblob://dstream-infra?storage_account=retail",
        "DSTREAM_SECRETS_PROVIDER": "azurekeyvault://retail.vault.azure.net/keys/dstream",
        "ASB_RESOURCE_GROUP": "rg-retail",
        "ASB_NAMESPACE": "sb-retail",
    }
    for stack in ("dev", "prod"):
        project = load(EXAMPLES / "dstream.hcl", variables={"env": stack}, environ=environ)
        assert project.stack == stack
        assert project.tasks["orders"].output.config["queue"] == f"orders-{stack}"

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
    return [END.sub("", line) for text in texts for line in LINE.findall(text.replace("\\\n", ""))]


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
    lines = lines_of(strings(yaml.safe_load(text)))
    assert len(lines) >= 5
    for line in re.findall(r"^[^#\n]*\bdstream (?:plan|init|status|validate|doctor)\b.*", text, re.MULTILINE):
        assert LINE.search(line), "not recognized as a command"
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


@pytest.mark.parametrize("is_untrusted", [False, True])
def test_the_example_configuration_loads_for_each_stack(is_untrusted: bool) -> None:
    environ = {"DSTREAM_VAR_resource_group": "rg-retail", "DSTREAM_VAR_namespace": "sb-retail"}
    for stack in ("dev", "prod"):
        project = load(EXAMPLES / "dstream.hcl", variables={"env": stack}, environ=environ, is_untrusted=is_untrusted)
        assert project.stack == stack
        assert project.tasks["orders"].output.config["queue"] == f"orders-{stack}"


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_installs_only_what_its_hashes_allow(name: str) -> None:
    installs = re.findall(r"\bpip install .*", (EXAMPLES / name).read_text())
    assert installs
    for line in installs:
        assert "--require-hashes -r " in line


@pytest.mark.parametrize("name", PIPELINES)
def test_a_plan_of_a_pull_request_is_untrusted(name: str) -> None:
    lines = lines_of(strings(yaml.safe_load((EXAMPLES / name).read_text())))
    reviewing = [
        line for line in lines if line.startswith(("dstream validate", "dstream plan")) and "--markdown" in line
    ]
    assert reviewing
    assert all("--untrusted" in line for line in [*reviewing, *(each for each in lines if "validate" in each)])


def test_the_github_workflow_gives_each_job_only_what_it_needs() -> None:
    text = (EXAMPLES / "github-actions.yml").read_text()
    document = yaml.safe_load(text)
    assert "pull_request_target" not in text
    assert document["permissions"] == {}
    for job in document["jobs"].values():
        steps = job["steps"]
        uses = [step["uses"] for step in steps if "uses" in step]
        assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", each) for each in uses)
        checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
        assert all(step["with"]["persist-credentials"] is False for step in checkouts)
        assert not any("${{" in step.get("run", "") for step in steps)
        writes = "write" in {value for key, value in job["permissions"].items() if key != "id-token"}
        # Who can write has no files of the repository and no identity.
        assert not (writes and (checkouts or "id-token" in job["permissions"]))
        assert ("AZURE_WRITE_CLIENT_ID" in str(job)) == (job.get("environment") == "production")


def test_only_the_protected_environments_get_the_writing_identity() -> None:
    gitlab = yaml.safe_load((EXAMPLES / "gitlab-ci.yml").read_text())
    jobs = [job for name, job in gitlab.items() if isinstance(job, dict) and "script" in job]
    for job in jobs:
        assert ("AZURE_WRITE_CLIENT_ID" in str(job)) == (job.get("environment") == "production")
        assert not ("GITLAB_TOKEN" in str(job) and "id_tokens" in job)
    azure = yaml.safe_load((EXAMPLES / "azure-pipelines.yml").read_text())
    for stage in azure["stages"]:
        for job in stage["jobs"]:
            assert ("dstream-write" in str(job)) == (job.get("environment") == "production")
            assert not ("System.AccessToken" in str(job) and "azureSubscription" in str(job))

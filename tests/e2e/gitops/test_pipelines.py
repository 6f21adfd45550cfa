"""Every shell step of the example pipelines runs, for pull requests, merges and schedules, in the services' order."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.gitops.forge import Forge
from tests.e2e.gitops.pipelines import EXAMPLES, AzurePipelines, GitHub, GitLab, Pipeline, cancel
from tests.e2e.gitops.repository import Repository
from tests.running import BIN, Sandbox, wait_until

Start = Callable[..., Pipeline]
SERVICES = [GitHub, GitLab, AzurePipelines]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    forge = Forge(tmp_path / "forge")
    forge.folder.mkdir()
    with forge.serve() as address:

        def start(service: type[Pipeline], env: dict[str, str]) -> Pipeline:
            return service(tmp_path, Repository(tmp_path / "repository"), forge, address, env)

        yield start


class Cheap:
    """A project whose infrastructure is a file, so that the commands are fast. One HCL file per task."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.env = {
            "PATH": f"{BIN}:/usr/bin:/bin",
            "DSTREAM_CONFIG": ".",
            "DSTREAM_ALLOWED_PROVIDERS": "counter,test_infrastructure",
        }

    def task(self, name: str, **settings: Any) -> str:
        resources = json.dumps({name: settings}).replace(":", " =")
        return f"""\
variable "slow_{name}" {{
  default = "0s"
}}

task "{name}" {{
  input {{
    provider = "counter"
  }}
  output {{
    provider = "test_infrastructure"
    config {{
      file      = "{self._file}.{name}.json"
      resources = {resources}
      slow      = {{ "init:{name}" = var.slow_{name} }}
    }}
  }}
}}
"""

    def world(self, name: str) -> dict[str, Any]:
        path = Path(f"{self._file}.{name}.json")
        return json.loads(path.read_text()) if path.exists() else {"real": {}, "recorded": {}}

    def real(self, name: str) -> Any:
        return self.world(name)["real"].get(name)

    def set_real(self, name: str, **settings: Any) -> None:
        Path(f"{self._file}.{name}.json").write_text(json.dumps({**self.world(name), "real": {name: settings}}))

    def is_being_changed(self, name: str) -> bool:
        return Path(f"{self._file}.{name}.lock").exists()


@pytest.mark.parametrize("service", SERVICES)
def test_a_pipeline_reviews_applies_and_reports(service: type[Pipeline], start: Start, tmp_path: Path) -> None:
    project = Cheap(tmp_path / "world")
    pipeline = start(service, project.env)
    repository, forge = pipeline.repository, pipeline.forge

    # A pull request has one comment, which is edited.
    first = repository.propose(orders=project.task("orders", size=1))
    assert pipeline.review(first).code == 0
    first = repository.push(first, orders=project.task("orders", size=1, sessions=True))
    assert pipeline.review(first).code == 0
    (comment,) = forge.comments(first.number)
    assert comment.startswith("<!-- dstream:plan:dev -->\n### DStream plan · stack `dev` · 1 to create")
    assert "sessions" in comment

    # Merging applies it.
    first = repository.merge(first)
    pipeline.approve(first)
    assert pipeline.apply(first).code == 0
    assert project.real("orders") == {"size": 1, "sessions": True}

    # Drift is reported once and updated.
    project.set_real("orders", size=77, sessions=True)
    for _ in range(2):
        drift = pipeline.nightly()
        assert drift.code == (2 if service is AzurePipelines else 0)
    if service is not AzurePipelines:
        (issue,) = forge.issues
        assert "drift in 1 of 1" in issue
        assert "size: 77 actual" in issue

    # What the approved plan does not contain is refused, and applied after its own approval.
    second = repository.propose(orders=project.task("orders", size=77, sessions=True, color="red"))
    assert pipeline.review(second).code == 0
    second = repository.merge(second)
    pipeline.approve(second)
    project.set_real("orders", size=78, sessions=True)
    refused = pipeline.apply(second)
    assert refused.code == 5
    assert "update orders (size → 77)" in refused.output
    assert project.real("orders")["size"] == 78
    assert pipeline.approve_main().code == 0
    assert project.real("orders") == {"size": 77, "sessions": True, "color": "red"}
    if service is GitHub:
        (_, result) = forge.comments(second.number)
        assert "(`plan.unplanned`)" in result

    # Running the job of an older commit again reverts nothing.
    assert pipeline.apply(first).code == 5
    assert project.real("orders")["size"] == 77


@pytest.mark.parametrize("service", SERVICES)
def test_a_pull_request_cannot_choose_what_is_posted_or_run(
    service: type[Pipeline], start: Start, tmp_path: Path
) -> None:
    project = Cheap(tmp_path / "world")
    pipeline = start(service, project.env)
    repository, forge = pipeline.repository, pipeline.forge
    forge.write("comments-1", None, body="<!-- dstream:plan:dev -->\nAll is well.", author=13)
    secret = tmp_path / "secret"
    secret.write_text("<!-- dstream:plan:dev -->\nsecret")

    # Committed reports, as files or as links, are not posted if there is no plan.
    request = repository.propose(orders=project.task("orders", size=1).replace("counter", "no_such_provider"))
    for name in ("plan.md", "report.md", "report/report.md", "plan/plan.json", "plan.json"):
        (repository.folder / name).parent.mkdir(exist_ok=True)
        (repository.folder / name).symlink_to(secret)
    (repository.folder / "wheels" / "requirements.txt").unlink()  # that of main is used
    request = repository.push(request)
    assert pipeline.review(request).code == 3
    assert [each.splitlines()[1] for each in forge.comments(1)] == ["All is well."]

    # The comment of somebody else is not edited, whatever its first line.
    assert pipeline.review(repository.push(request, orders=project.task("orders", size=1))).code == 0
    other, own = forge.comments(1)
    assert other.endswith("All is well.")
    assert "1 to create" in own

    # Nothing of it runs, and nothing is read for it.
    for text in ('env("HOME")', f'file("{secret}")'):
        request = repository.push(request, orders=project.task("orders", size=1).replace('"0s"', text))
        assert pipeline.review(request).code == 5
    assert forge.comments(1) == [other, own]
    assert secret.read_text().endswith("secret")


@pytest.mark.parametrize(
    "service",
    [GitHub, *(pytest.param(each, marks=pytest.mark.soak) for each in (GitLab, AzurePipelines))],
)
def test_pull_requests_race(service: type[Pipeline], start: Start, tmp_path: Path) -> None:
    project = Cheap(tmp_path / "world")
    pipeline = start(service, project.env)
    repository, forge = pipeline.repository, pipeline.forge
    first = repository.propose(orders=project.task("orders", size=1))
    assert pipeline.review(first).code == 0

    # An invalid configuration fails the job and keeps the comment.
    broken = repository.propose(audit=project.task("audit").replace("counter", "no_such_provider"))
    assert pipeline.review(broken).code == 3
    assert forge.comments(broken.number) == []

    # The plan of the second one is stale when its turn comes.
    second = repository.propose(returns=project.task("returns", size=1))
    assert pipeline.review(second).code == 0
    first, second = repository.merge(first), repository.merge(second)
    pipeline.approve(first)
    pipeline.approve(second)
    assert pipeline.apply(first).code == 0
    assert project.real("orders") == {"size": 1}
    applied = pipeline.apply(second)
    assert (applied.code, project.real("returns")) == (0, {"size": 1})


@pytest.mark.parametrize("service", [GitHub, pytest.param(AzurePipelines, marks=pytest.mark.soak)])
def test_a_cancelled_job_ends_cleanly_and_can_be_run_again(
    service: type[Pipeline], start: Start, tmp_path: Path
) -> None:
    project = Cheap(tmp_path / "world")
    pipeline = start(service, project.env)
    request = pipeline.repository.propose(orders=project.task("orders", size=1))
    assert pipeline.review(request).code == 0
    request = pipeline.repository.merge(request)
    pipeline.approve(request)

    def cancel_init(shell: subprocess.Popen[str]) -> None:
        if " init " in (tmp_path / "scripts" / "step.sh").read_text():
            wait_until(lambda: project.is_being_changed("orders"), "init to start")
            cancel(shell)

    pipeline.on_start = cancel_init
    pipeline.env["DSTREAM_VAR_slow_orders"] = "1h"
    cancelled = pipeline.apply(request)
    assert cancelled.code == 130, cancelled.output
    assert project.real("orders") is None
    pipeline.on_start = lambda _: None
    pipeline.env["DSTREAM_VAR_slow_orders"] = "0s"
    assert pipeline.apply(request).code == 0
    assert project.real("orders") == {"size": 1}


@pytest.mark.parametrize(
    "service",
    [
        GitHub,
        pytest.param(GitLab, marks=pytest.mark.soak),
        pytest.param(AzurePipelines, marks=pytest.mark.soak),
    ],
)
def test_the_example_runs_as_it_is(service: type[Pipeline], start: Start, own_sandbox: Sandbox, tmp_path: Path) -> None:
    record = tmp_path / "record"
    record.mkdir()
    env = {
        **own_sandbox.env,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PULUMI_BACKEND_URL": record.as_uri(),
        "DSTREAM_ALLOWED_PROVIDERS": "mssql_cdc,servicebus",
        "DSTREAM_SECRETS_PROVIDER": "passphrase",
    }
    pipeline = start(service, env)
    request = pipeline.repository.propose(dstream=(EXAMPLES / "dstream.hcl").read_text())
    assert pipeline.review(request).code == 0
    (comment,) = pipeline.forge.comments(request.number)
    assert "| ➕ | `orders-prod` | queue |" in comment
    request = pipeline.repository.merge(request)
    pipeline.approve(request)
    applied = pipeline.apply(request)
    assert applied.code == 0, applied.output
    assert own_sandbox.active_messages("orders-prod") == 0
    assert (record / ".pulumi" / "stacks" / "orders" / "prod.json").exists()
    nightly = pipeline.nightly()
    assert nightly.code == 0, nightly.output

    # A pull request is compared with the record, which an untrusted plan reads with the pipeline's own settings.
    hcl = (EXAMPLES / "dstream.hcl").read_text()
    changed = hcl.replace(
        '"orders-${var.env}"', '"orders-${var.env}"\n      entity {\n        max_delivery_count = 7\n      }'
    )
    request = pipeline.repository.propose(dstream=changed)
    assert pipeline.review(request).code == 0
    (comment,) = pipeline.forge.comments(request.number)
    assert "1 to update" in comment

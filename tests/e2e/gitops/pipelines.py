"""Runs the jobs of examples/gitops as their services do: each in a fresh clone, step by step, in the service's shell."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.gitops import forge as forge_module
from tests.e2e.gitops.forge import Forge
from tests.e2e.gitops.repository import PullRequest, Repository
from tests.running import BIN

EXAMPLES = Path(__file__).parent.parent.parent.parent / "examples" / "gitops"
_DEADLINE_S = 120.0
_STUBS = {
    "apt-get": "",
    "pip": 'for last; do :; done; [ -f "$last" ]',
    "az": "echo 00000000-0000-0000-0000-000000000000",
    "dstream": f'[ "$1" = doctor ] || exec {BIN / "dstream"} "$@"',  # which would install what the tests have
}


@dataclass(frozen=True)
class Step:
    """A script, or what an action of the service does: `action` returns its exit code."""

    script: str = ""
    shell: Sequence[str] = ("bash",)
    env: Mapping[str, str] = field(default_factory=dict)
    is_always_run: bool = False
    action: Callable[[], int] | None = None


@dataclass(frozen=True)
class Outcome:
    """The first failed step's exit code, or 0, and what all steps printed."""

    code: int
    output: str


class Pipeline(ABC):
    """One service with the example's pipeline for it. `env`: what its variables and the machine provide."""

    file: str

    def __init__(self, folder: Path, repository: Repository, forge: Forge, address: str, env: Mapping[str, str]):
        self.document: dict[str, Any] = yaml.safe_load((EXAMPLES / self.file).read_text())
        self.repository, self.forge, self.address = repository, forge, address
        self._workspace = folder / "workspace"
        self._checkout = self._workspace / "s"
        self._temporary = folder / "temporary"
        self._scripts = folder / "scripts"
        self._scripts.mkdir()
        self.env = {**env, "PATH": f"{_stubs(folder / 'bin', forge)}:{env['PATH']}", "HOME": os.environ["HOME"]}
        self.on_start: Callable[[subprocess.Popen[str]], None] = lambda _: None
        """Called with the shell of each step, e.g. to cancel the job."""

    @abstractmethod
    def review(self, request: PullRequest) -> Outcome:
        """The pull request was opened or pushed to."""

    @abstractmethod
    def approve(self, request: PullRequest) -> None:
        """It was merged, and what the service plans then was approved."""

    @abstractmethod
    def apply(self, request: PullRequest) -> Outcome:
        """It was merged and approved. Can be run again."""

    @abstractmethod
    def approve_main(self) -> Outcome:
        """Plan the main branch, approve that plan and apply it."""

    @abstractmethod
    def nightly(self) -> Outcome:
        """The schedule."""

    def run(self, steps: Sequence[Step], env: Mapping[str, str]) -> Outcome:
        """Run a job on a new machine."""
        for folder in (self._workspace, self._temporary):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        self._checkout.mkdir()
        code, output = 0, ""
        for step in steps:
            if code and not step.is_always_run:
                continue
            if step.action:
                done, said = step.action(), ""
            else:
                # What the tests set is not overridden by what the example sets for production.
                done, said = self._step(step, {**env, **step.env, **self.env})
            code, output = code or done, output + said
        return Outcome(code, output)

    def clone(self, commit: str, folder: Path | None = None) -> Callable[[], int]:
        def action() -> int:
            self.repository.clone(folder or self._checkout, commit)
            return 0

        return action

    def keep(self, run: int, name: str, path: Path, *, at: str = "", is_needed: bool = False) -> Callable[[], int]:
        """Upload an artifact: a folder, whose content goes to the folder `at` in it, or a file. Links are followed."""

        def action() -> int:
            target = self.forge.artifact(run, name)
            shutil.rmtree(target, ignore_errors=True)
            if path.is_dir() and any(path.iterdir()):
                shutil.copytree(path, target / at)
            elif path.is_file():
                target.mkdir()
                shutil.copy(path, target)
            else:
                return int(is_needed)
            return 0

        return action

    def fetch(self, run: int, name: str, folder: Path) -> Callable[[], int]:
        """Download an artifact, if there is one."""

        def action() -> int:
            if self.forge.artifact(run, name).exists():
                shutil.copytree(self.forge.artifact(run, name), folder, dirs_exist_ok=True)
            return 0

        return action

    def _step(self, step: Step, env: Mapping[str, str]) -> tuple[int, str]:
        script = self._scripts / "step.sh"
        script.write_text(step.script)
        process = subprocess.Popen(
            [*step.shell, str(script)],
            cwd=self._checkout,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.on_start(process)
        output, _ = process.communicate(timeout=_DEADLINE_S)
        return process.returncode, output


class GitHub(Pipeline):
    file = "github-actions.yml"
    _runs = 0

    def review(self, request: PullRequest) -> Outcome:
        self._runs += 1
        event = {"head.sha": request.head}
        checked = self._job("check", request.head, request, event)
        done = self._job("plan", request.head, request, event)
        self.forge.write("runs", None, commit=request.head, success=not (checked.code or done.code))
        assert checked.code in (0, done.code), checked.output
        return self._commented(request, done)

    def approve(self, request: PullRequest) -> None:
        """The reviewed plan is the approved one."""

    def apply(self, request: PullRequest) -> Outcome:
        self._runs += 1
        self.forge.write("runs", None, commit="", success=True)
        event = {"head.sha": request.head, "merge_commit_sha": request.merged}
        return self._commented(request, self._job("apply", request.merged, request, event))

    def approve_main(self) -> Outcome:
        self._runs += 1
        planned = self._job("plan", self.repository.main)
        self.forge.write("runs", None, commit="", success=not planned.code)
        return planned if planned.code else self._job("apply", self.repository.main)

    def nightly(self) -> Outcome:
        self._runs += 1
        self.forge.write("runs", None, commit="", success=True)
        found = self._job("drift", self.repository.main)
        return found if found.code else self._job("report-drift", "")

    def _commented(self, request: PullRequest, done: Outcome) -> Outcome:
        commented = self._job("comment", "", request)
        return Outcome(done.code or commented.code, done.output + commented.output)

    def _job(
        self, name: str, commit: str, request: PullRequest | None = None, event: Mapping[str, str] | None = None
    ) -> Outcome:
        known = {f"github.event.pull_request.{key}": value for key, value in (event or {}).items()}
        if request:
            known["github.event.pull_request.number"] = str(request.number)
        known |= {f"vars.{key}": value for key, value in self.env.items()}
        known |= {"github.token": "token", "runner.temp": str(self._temporary)}
        env = {
            **_expanded(self.document["env"], known),
            "GITHUB_REPOSITORY": "acme/streams",
            "GITHUB_RUN_ID": str(self._runs),
            "GITHUB_STEP_SUMMARY": str(self._scripts / "summary.md"),
            "RUNNER_TEMP": str(self._temporary),
        }
        return self.run(list(self._steps(self.document["jobs"][name]["steps"], commit, known)), env)

    def _steps(self, steps: Sequence[Mapping[str, Any]], commit: str, known: Mapping[str, str]) -> Iterator[Step]:
        for step in steps:
            is_always_run = "always()" in str(step.get("if", ""))
            given = _expanded(step.get("with", {}), known)
            if "run" in step:
                # docs: "defaults.run.shell", unspecified
                yield Step(step["run"], ["bash", "-e"], _expanded(step.get("env", {}), known), is_always_run)
                continue
            action = None
            match step["uses"].partition("@")[0]:
                case "actions/checkout" if "path" in given:
                    action = self.clone(self.repository.main, self._checkout / given["path"])
                case "actions/checkout":
                    action = self.clone(commit)
                case "actions/upload-artifact":
                    is_needed = given["if-no-files-found"] == "error"
                    action = self.keep(self._runs, given["name"], Path(given["path"]), is_needed=is_needed)
                case "actions/download-artifact":
                    action = self.fetch(self._runs, given["name"], Path(given["path"]))
            if action:
                yield Step(action=action, is_always_run=is_always_run)


class GitLab(Pipeline):
    file = "gitlab-ci.yml"

    def review(self, request: PullRequest) -> Outcome:
        number = {"CI_MERGE_REQUEST_IID": str(request.number)}
        done = self._job("plan-for-review", request.head, number)
        noted = self._job("note", request.head, number, artifacts_of="plan-for-review")
        return Outcome(done.code or noted.code, done.output + noted.output)

    def approve(self, request: PullRequest) -> None:
        assert self._job("plan", request.merged).code == 0

    def apply(self, request: PullRequest) -> Outcome:
        return self._job("apply", request.merged, artifacts_of="plan")

    def approve_main(self) -> Outcome:
        planned = self._job("plan", self.repository.main)
        return planned if planned.code else self._job("apply", self.repository.main, artifacts_of="plan")

    def nightly(self) -> Outcome:
        found = self._job("drift", self.repository.main)
        return found if found.code else self._job("issue", self.repository.main, artifacts_of="drift")

    def _job(self, name: str, commit: str, more: Mapping[str, str] | None = None, *, artifacts_of: str = "") -> Outcome:
        job, pipeline = self.document[name], int(commit[:7], 16)  # one per commit
        known = {
            "CI_API_V4_URL": f"{self.address}/api/v4",
            "CI_DEFAULT_BRANCH": "main",
            "CI_PROJECT_ID": "7",
            "AZURE_ID_TOKEN": "id-token",
            **self.env,
            **(more or {}),
        }
        is_notes = job.get("environment", {}) == {"name": "notes", "action": "access"}
        env = {"GITLAB_TOKEN": "gitlab-token"} if is_notes else {}
        for key, value in {**self.document["variables"], **job.get("variables", {})}.items():
            env[key] = re.sub(r"\$(\w+)", lambda match: known.get(match[1], ""), value)
        env = {**known, **env}
        steps = [] if env.get("GIT_STRATEGY") == "empty" else [Step(action=self.clone(commit))]
        if artifacts_of:
            steps.append(Step(action=self.fetch(pipeline, artifacts_of, self._checkout)))
        before = job.get("before_script", self.document["default"]["before_script"])
        lines = ["set -eo pipefail", *before, *job["script"]]  # one shell for both
        steps.append(Step("\n".join(lines)))
        artifacts = job.get("artifacts", {})
        for path in artifacts.get("paths", ()):
            action = self.keep(pipeline, name, self._checkout / path, at=path)
            steps.append(Step(action=action, is_always_run=artifacts.get("when") == "always"))
        return self.run(steps, env)


class AzurePipelines(Pipeline):
    file = "azure-pipelines.yml"

    def review(self, request: PullRequest) -> Outcome:
        done = self._job("Plan", "plan", request.head, "PullRequest")
        commented = self._job("Plan", "comment", request.head, "PullRequest", str(request.number))
        return Outcome(done.code or commented.code, done.output + commented.output)

    def approve(self, request: PullRequest) -> None:
        assert self._job("Plan", "plan", request.merged, "IndividualCI").code == 0

    def apply(self, request: PullRequest) -> Outcome:
        return self._job("Apply", "apply", request.merged, "IndividualCI")

    def approve_main(self) -> Outcome:
        planned = self._job("Plan", "plan", self.repository.main, "Manual")
        return planned if planned.code else self._job("Apply", "apply", self.repository.main, "Manual")

    def nightly(self) -> Outcome:
        return self._job("Drift", "drift", self.repository.main, "Schedule")

    def _job(self, stage: str, name: str, commit: str, reason: str, number: str = "") -> Outcome:
        (jobs,) = (each["jobs"] for each in self.document["stages"] if each["stage"] == stage)
        (job,) = (each for each in jobs if name in (each.get("job"), each.get("deployment")))
        known = {
            "Agent.TempDirectory": str(self._temporary),
            "Build.Reason": reason,
            "Build.Repository.ID": "1",
            "Build.RequestedFor": "Ann",
            "Pipeline.Workspace": str(self._workspace),
            "System.AccessToken": "system-token",
            "System.CollectionUri": f"{self.address}/",
            "System.PullRequest.PullRequestId": number,
            "System.TeamProject": "streams",
        }
        steps = job.get("steps") or job["strategy"]["runOnce"]["deploy"]["steps"]
        # https://learn.microsoft.com/azure/devops/pipelines/process/variables#environment-variables
        variables = {each["name"].upper(): each["value"] for each in self.document["variables"] if "name" in each}
        return self.run(list(self._steps(steps, commit, known)), variables)

    def _steps(self, steps: Sequence[Mapping[str, Any]], commit: str, known: Mapping[str, str]) -> Iterator[Step]:
        run, shell = int(commit[:7], 16), ["bash", "--noprofile", "--norc"]
        for step in steps:
            condition = step.get("condition", "")
            compared = re.search(r"(eq|ne)\(variables\['Build.Reason'\], '(\w+)'\)", condition)
            if compared and (compared[2] == known["Build.Reason"]) != (compared[1] == "eq"):
                continue
            is_always_run = "always()" in condition
            script = step.get("script") or step.get("inputs", {}).get("inlineScript")
            if script:
                env = {key: _macros(value, known) for key, value in step.get("env", {}).items()}
                yield Step(_macros(script, known), shell, env, is_always_run)
            elif "publish" in step:
                path = Path(_macros(step["publish"], known))
                yield Step(action=self.keep(run, step["artifact"], path), is_always_run=is_always_run)
            elif "download" in step:
                yield Step(action=self.fetch(run, step["artifact"], self._workspace / step["artifact"]))
            elif "checkout" in step and step["checkout"] != "none":
                of = commit if step["checkout"] == "self" else self.repository.main
                yield Step(action=self.clone(of, self._workspace / step["path"]))


def cancel(process: subprocess.Popen[str]) -> None:
    """Interrupt the shell alone, as GitHub's and Azure's runners do."""
    process.send_signal(signal.SIGINT)


def _expanded(env: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, str]:
    """Evaluate `${{ name }}`, where an unknown name is empty."""
    return {
        key: re.sub(r"\$\{\{ ([\w.]+) \}\}", lambda match: known.get(match[1], ""), str(value))
        for key, value in env.items()
    }


def _macros(text: str, known: Mapping[str, str]) -> str:
    """Evaluate `$(name)`; an unknown one stays as it is."""
    return re.sub(r"\$\(([\w.]+)\)", lambda match: known.get(match[1], match[0]), text)


def _stubs(folder: Path, forge: Forge) -> Path:
    folder.mkdir()
    for name, script in {
        **_STUBS,
        "gh": f'exec {sys.executable} -SE {forge_module.__file__} {forge.folder} "$@"',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return folder

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
from tests.running import BIN

EXAMPLES = Path(__file__).parent.parent.parent.parent / "examples" / "gitops"
_DEADLINE_S = 120.0
_STUBS = {
    "apt-get": "",
    "pip": "",
    "az": "echo 00000000-0000-0000-0000-000000000000",
    "dstream": f'[ "$1" = doctor ] || exec {BIN / "dstream"} "$@"',  # which would install what the tests have
}


@dataclass(frozen=True)
class PullRequest:
    number: int
    branch: str
    head: str
    merged: str = ""
    """The merge commit."""


class Repository:
    """A git repository with a bare `main` and pull requests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._git("init", "--quiet", "--initial-branch", "main")
        self._git("commit", "--quiet", "--allow-empty", "--message", "Start")
        self._count = 0

    def commit(self, **files: str) -> str:
        """Commit these files, named without `.hcl`, on the current branch."""
        for name, text in files.items():
            (self.folder / f"{name}.hcl").write_text(text)
        self._git("add", ".")
        self._git("commit", "--quiet", "--message", "Change")
        return self._git("rev-parse", "HEAD")

    def propose(self, **files: str) -> PullRequest:
        """Open a pull request against main."""
        self._count += 1
        branch = f"change-{self._count}"
        self._git("checkout", "--quiet", "-b", branch, "main")
        return PullRequest(self._count, branch, self.commit(**files))

    def push(self, request: PullRequest, **files: str) -> PullRequest:
        self._git("checkout", "--quiet", request.branch)
        return PullRequest(request.number, request.branch, self.commit(**files))

    def merge(self, request: PullRequest) -> PullRequest:
        self._git("checkout", "--quiet", "main")
        self._git("merge", "--quiet", "--no-ff", "--no-edit", request.branch)
        return PullRequest(request.number, request.branch, request.head, self.main)

    @property
    def main(self) -> str:
        return self._git("rev-parse", "main")

    def clone(self, folder: Path, commit: str) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._git("clone", "--quiet", "--no-checkout", ".", str(folder))
        self._git("-C", str(folder), "checkout", "--quiet", commit)

    def _git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@dataclass(frozen=True)
class Step:
    script: str
    shell: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    is_always_run: bool = False
    needs_file: str = ""
    produces: str = ""
    """A file to keep as the artifact `plan`, instead of a script."""


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
        self._checkout = folder / "checkout"
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

    def run(self, steps: Sequence[Step], commit: str, artifact: Path, env: Mapping[str, str]) -> Outcome:
        self.repository.clone(self._checkout, commit)
        code, output = 0, ""
        for step in steps:
            if code and not step.is_always_run:
                continue
            if step.needs_file and not (self._checkout / step.needs_file).exists():
                continue
            if step.produces:
                artifact.mkdir(exist_ok=True)
                shutil.copy(self._checkout / step.produces, artifact)
                continue
            done, said = self._step(step, {**self.env, **env, **step.env})
            code, output = code or done, output + said
        return Outcome(code, output)

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
        return self._job("plan", request.head, request, event={"head.sha": request.head})

    def approve(self, request: PullRequest) -> None:
        """The reviewed plan is the approved one."""

    def apply(self, request: PullRequest) -> Outcome:
        event = {"head.sha": request.head, "merge_commit_sha": request.merged}
        return self._job("apply", request.merged, request, event=event)

    def approve_main(self) -> Outcome:
        planned = self._job("plan", self.repository.main, None, event={})
        return planned if planned.code else self._job("apply", self.repository.main, None, event={}, run=self._runs)

    def nightly(self) -> Outcome:
        return self._job("drift", self.repository.main, None, event={})

    def _job(
        self, name: str, commit: str, request: PullRequest | None, *, event: Mapping[str, str], run: int = 0
    ) -> Outcome:
        self._runs += not run
        known = {f"github.event.pull_request.{key}": value for key, value in event.items()}
        if request:
            known["github.event.pull_request.number"] = str(request.number)
        known |= {f"vars.{key}": value for key, value in self.env.items()} | {"github.token": "token"}
        job = self.document["jobs"][name]
        env = {
            **_expanded(self.document["env"], known),
            "GITHUB_REPOSITORY": "acme/streams",
            "GITHUB_RUN_ID": str(self._runs),
            "GITHUB_STEP_SUMMARY": str(self._scripts / "summary.md"),
        }
        artifact = self.forge.artifact(self._runs)
        done = self.run(list(self._steps(job["steps"], known)), commit, artifact, env)
        if not run:
            head = request.head if request and name == "plan" else ""
            self.forge.write("runs", None, commit=head, success=not done.code)
        return done

    def _steps(self, steps: Sequence[Mapping[str, Any]], known: Mapping[str, str]) -> Iterator[Step]:
        for step in steps:
            condition = step.get("if", "")
            needed = re.search(r"hashFiles\('([^']+)'\)", condition)
            if "run" in step:
                yield Step(
                    step["run"],
                    ["bash", "-e"],  # docs: "defaults.run.shell", unspecified
                    _expanded(step.get("env", {}), known),
                    is_always_run="always()" in condition,
                    needs_file=needed[1] if needed else "",
                )
            elif step["uses"].startswith("actions/upload-artifact@"):
                yield Step("", [], produces=step["with"]["path"])


class GitLab(Pipeline):
    file = "gitlab-ci.yml"

    def review(self, request: PullRequest) -> Outcome:
        return self._job("plan-for-review", request.head, {"CI_MERGE_REQUEST_IID": str(request.number)})

    def approve(self, request: PullRequest) -> None:
        assert self._job("plan", request.merged).code == 0

    def apply(self, request: PullRequest) -> Outcome:
        return self._job("apply", request.merged)

    def approve_main(self) -> Outcome:
        planned = self._job("plan", self.repository.main)
        return planned if planned.code else self._job("apply", self.repository.main)

    def nightly(self) -> Outcome:
        return self._job("drift", self.repository.main)

    def _job(self, name: str, commit: str, more: Mapping[str, str] | None = None) -> Outcome:
        job, default = self.document[name], self.document["default"]
        known = {
            "CI_API_V4_URL": f"{self.address}/api/v4",
            "CI_PROJECT_ID": "7",
            "GITLAB_TOKEN": "gitlab-token",
            "AZURE_ID_TOKEN": "id-token",
            **(more or {}),
        }
        for key, value in self.document["variables"].items():
            known[key] = re.sub(r"\$(\w+)", lambda match: known[match[1]], value)
        artifact = self.forge.artifact(int(commit[:7], 16))  # of the pipeline, which is one per commit
        fetch = [f"cp {artifact}/* ."] if job["stage"] == "apply" else []
        lines = ["set -eo pipefail", *fetch, *default["before_script"], *job["script"]]  # one shell for both
        steps = [Step("\n".join(lines), ["bash"])]
        if "after_script" in job:
            steps.append(Step("\n".join(job["after_script"]), ["bash"], is_always_run=True))
        steps += [Step("", [], produces=path) for path in job.get("artifacts", {}).get("paths", ())]
        return self.run(steps, commit, artifact, known)


class AzurePipelines(Pipeline):
    file = "azure-pipelines.yml"

    def review(self, request: PullRequest) -> Outcome:
        return self._stage("Plan", request.head, "PullRequest", str(request.number))

    def approve(self, request: PullRequest) -> None:
        assert self._stage("Plan", request.merged, "IndividualCI").code == 0

    def apply(self, request: PullRequest) -> Outcome:
        return self._stage("Apply", request.merged, "IndividualCI")

    def approve_main(self) -> Outcome:
        planned = self._stage("Plan", self.repository.main, "Manual")
        return planned if planned.code else self._stage("Apply", self.repository.main, "Manual")

    def nightly(self) -> Outcome:
        return self._stage("Drift", self.repository.main, "Schedule")

    def _stage(self, name: str, commit: str, reason: str, number: str = "") -> Outcome:
        stage = next(each for each in self.document["stages"] if each["stage"] == name)
        artifact = self.forge.artifact(int(commit[:7], 16))
        known = {
            "Build.Reason": reason,
            "Build.Repository.ID": "1",
            "Pipeline.Workspace": str(self._scripts),
            "System.AccessToken": "system-token",
            "System.CollectionUri": f"{self.address}/",
            "System.PullRequest.PullRequestId": number,
            "System.TeamProject": "streams",
        }
        (job,) = stage["jobs"]
        steps = job.get("steps") or job["strategy"]["runOnce"]["deploy"]["steps"]
        variables = {each["name"]: each["value"] for each in self.document["variables"] if "name" in each}
        return self.run(list(self._steps(steps, known, reason, artifact)), commit, artifact, variables)

    def _steps(
        self, steps: Sequence[Mapping[str, Any]], known: Mapping[str, str], reason: str, artifact: Path
    ) -> Iterator[Step]:
        shell = ["bash", "--noprofile", "--norc"]
        for step in steps:
            condition = step.get("condition", "")
            compared = re.search(r"(eq|ne)\(variables\['Build.Reason'\], '(\w+)'\)", condition)
            if compared and (compared[2] == reason) != (compared[1] == "eq"):
                continue
            script = step.get("script") or step.get("inputs", {}).get("inlineScript")
            if script:
                env = {key: _macros(value, known) for key, value in step.get("env", {}).items()}
                yield Step(_macros(script, known), shell, env, is_always_run="always()" in condition)
            elif "publish" in step:
                yield Step("", [], produces=step["publish"])
            elif "download" in step:
                target = self._scripts / step["artifact"]
                yield Step(f"mkdir -p {target} && cp {artifact}/* {target}", shell)


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
    for name, script in {**_STUBS, "gh": f'exec {sys.executable} {forge_module.__file__} {forge.folder} "$@"'}.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return folder

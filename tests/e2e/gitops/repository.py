"""A git repository with pull requests, for the pipelines to work on."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


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
        (folder / "wheels").mkdir()
        (folder / "wheels" / "requirements.txt").touch()
        self._git("add", ".")
        self._git("commit", "--quiet", "--message", "Start")
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

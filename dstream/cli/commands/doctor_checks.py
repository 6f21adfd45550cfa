"""What `dstream doctor` looks at: the engine, the state folder, the providers and what they need to be on this machine.

Nothing is connected to, and no config is evaluated.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from dstream.cli.project import spec_of
from dstream.config import Project, ProviderBlock, Task
from dstream.errors import ConfigError, DStreamError
from dstream.host.provider.describe import introduce
from dstream.plugins import BUILT_IN

Mark = Literal["ok", "warning", "failure"]
_ANSWER_S = 30.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `fix`: what to do about it."""

    mark: Mark
    subject: str
    text: str
    fix: str = ""


def engine(*, is_needed: bool) -> Iterator[Finding]:
    """The Pulumi CLI and its Python SDK. Where no task is known to need them, their absence is a warning."""
    from dstream.infra.engine.cli import find_engine

    absence: Mark = "failure" if is_needed else "warning"
    try:
        found = find_engine(os.environ)
        yield Finding("ok", "Pulumi engine", f"v{found.version} at {found.path} ({found.source})")
    except DStreamError as error:
        yield Finding(absence, "Pulumi engine", error.message, error.hint)
    version = _version("pulumi")
    if version:
        yield Finding("ok", "Pulumi SDK", version)
    else:
        yield Finding(absence, "Pulumi SDK", "not installed", "Install it: pip install pulumi")


def state_folder(project: Project) -> Finding:
    """Whether checkpoints can be written; what is not there yet is not made."""
    folder = project.state_dir
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        return Finding("failure", "state folder", f"{folder} can't be written: {error.strerror}")
    return Finding("ok", "state folder", str(folder))


@dataclass(frozen=True, slots=True)
class TaskFindings:
    findings: tuple[Finding, ...]
    needs_engine: bool
    """Its output manages infrastructure and is none of DStream's own examples, which need no engine."""


def task_findings(project: Project, task: Task) -> TaskFindings:
    findings: list[Finding] = []
    needs_engine = False
    for block in (task.input, task.output):
        finding, capabilities = _provider(project, task, block)
        findings.append(finding)
        needs_engine = needs_engine or ("infrastructure" in capabilities and block.provider not in BUILT_IN)
        if block.provider == "mssql_cdc" and finding.mark == "ok":
            findings += _odbc()
    return TaskFindings(tuple(findings), needs_engine)


def _provider(project: Project, task: Task, block: ProviderBlock) -> tuple[Finding, list[str]]:
    subject = f"{block.role} {block.label}"
    try:
        spec = spec_of(block, project)
        found = introduce(
            spec, block.role, cwd=project.folder, timeout_s=min(task.start_timeout_s, _ANSWER_S), describe=False
        )
    except ConfigError as error:
        return Finding("failure", subject, error.message, error.hint), []
    if found.hello is None:
        return Finding("warning", subject, "said nothing: one of the original protocol, or slow to start"), []
    where = "comes with dstream" if block.provider in BUILT_IN else f"{found.hello.version} at {spec.argv[0]}".strip()
    return Finding("ok", subject, where), found.hello.capabilities


def _odbc() -> Iterator[Finding]:
    """unixODBC's driver manager, which no wheel carries, and Microsoft's driver, which one does."""
    try:
        ctypes.CDLL(ctypes.util.find_library("odbc") or "libodbc.so.2")
        yield Finding("ok", "ODBC driver manager", "unixODBC")
    except OSError:
        yield Finding("failure", "ODBC driver manager", "not installed", "apt-get install libodbc2")
    version = _version("mssql-python-odbc")
    if version:
        yield Finding("ok", "ODBC driver", f"msodbcsql18 of mssql-python-odbc {version}")
    else:
        yield Finding("warning", "ODBC driver", "not in this environment; one of the system is not looked for")


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""

"""The checks of `dstream doctor`: the engine, the state folder, the providers and their own requirements.

Connects to nothing and sends no config.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import Literal

from dstream.cli.project import spec_of
from dstream.config import Project, ProviderBlock, Task
from dstream.errors import ConfigError, DStreamError
from dstream.host import ProviderSpec
from dstream.host.provider.describe import Introduction
from dstream.host.provider.introductions import Introductions
from dstream.plugins import BUILT_IN

Mark = Literal["ok", "warning", "failure"]
_ANSWER_S = 30.0


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; `fix`: how to fix a failure."""

    mark: Mark
    subject: str
    text: str
    fix: str = ""


def engine(*, is_needed: bool) -> Iterator[Finding]:
    """Check the Pulumi CLI and its Python SDK. Their absence is only a warning unless a task needs them."""
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
    """Check that checkpoints can be written, without creating the folder."""
    folder = project.state_dir
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        return Finding("failure", "state folder", f"cannot write to {folder}: {error.strerror}")
    return Finding("ok", "state folder", str(folder))


@dataclass(frozen=True, slots=True)
class TaskFindings:
    findings: tuple[Finding, ...]
    needs_engine: bool
    """Its output manages infrastructure and is not a built-in example, which needs no engine."""


def ask_task(project: Project, task: Task, introductions: Introductions) -> Callable[[], TaskFindings]:
    """Begin to ask the providers of a task; return a function that waits for them."""
    return partial(
        _task_findings, [(block, _ask(project, task, block, introductions)) for block in (task.input, task.output)]
    )


def _ask(project: Project, task: Task, block: ProviderBlock, introductions: Introductions) -> _Asked | ConfigError:
    """Return the error of a provider that is not installed."""
    try:
        spec = spec_of(block, project)
    except ConfigError as error:
        return error
    return _Asked(spec, introductions.ask(spec, block.role, timeout_s=min(task.start_timeout_s, _ANSWER_S)))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A provider that was asked to introduce itself."""

    spec: ProviderSpec
    answer: Callable[[], Introduction]


def _task_findings(blocks: Sequence[tuple[ProviderBlock, _Asked | ConfigError]]) -> TaskFindings:
    findings: list[Finding] = []
    needs_engine = False
    for block, asked in blocks:
        found, capabilities = _provider(block, asked)
        findings += found
        needs_engine = needs_engine or ("infrastructure" in capabilities and block.provider not in BUILT_IN)
    return TaskFindings(tuple(findings), needs_engine)


def _provider(block: ProviderBlock, asked: _Asked | ConfigError) -> tuple[list[Finding], list[str]]:
    """Return the findings for the provider and its requirements, and its capabilities."""
    subject = f"{block.role} {block.label}"
    try:
        if isinstance(asked, ConfigError):
            raise asked
        found = asked.answer()
    except ConfigError as error:
        return [Finding("failure", subject, error.message, error.hint)], []
    if found.hello is None:
        return [Finding("warning", subject, "no hello: a legacy provider, or slow to start")], []
    where = "built in" if block.provider in BUILT_IN else f"{found.hello.version} at {asked.spec.argv[0]}".strip()
    listed = found.description.requirements if found.description else []
    needs = [Finding("ok" if each.ok else "failure", each.name, each.detail, each.fix) for each in listed]
    return [Finding("ok", subject, where), *needs], found.hello.capabilities


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""

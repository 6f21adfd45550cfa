"""The checks of `dstream doctor`: the engine, the state folder, the providers, their own requirements, and what the
providers find out about their sources and destinations."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata

import msgspec

from dstream.cli.project import infrastructure_of, spec_of
from dstream.cli.view.words import plural
from dstream.config import Project, ProviderBlock, Task
from dstream.errors import ConfigErrors, DStreamError
from dstream.host.provider.describe import Introduction
from dstream.host.provider.introductions import Introductions
from dstream.host.provider.read_settings import read_settings
from dstream.host.provider.secret_settings import secret_values
from dstream.plugins import BUILT_IN
from dstream.protocol.messages import Command, Finding, Mark, RunOptions
from dstream.redact import Redactor
from dstream.state import open_store, stored_tasks

_ANSWER_S = 30.0


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
    """Check that checkpoints can be written, without creating the folder; of a network backend, that it responds."""
    if project.state.backend != "file":
        try:
            count = len(stored_tasks(project.state))
        except DStreamError as error:
            return Finding("failure", "state backend", error.message, error.hint)
        return Finding("ok", "state backend", f"{project.state.backend}, with {plural(count, 'checkpoint')}")
    folder = project.state.folder
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


def ask_task(
    project: Project, task: Task, introductions: Introductions, *, connect: bool
) -> Callable[[], TaskFindings]:
    """Begin to ask the providers of a task; return a function that waits for them. `connect`: let them connect."""
    asked = [_Asked(project, task, block, introductions) for block in task.providers]

    def wait() -> TaskFindings:
        examining = [each.examine() if connect else list for each in asked]
        findings = [
            found for each, examined in zip(asked, examining, strict=True) for found in (*each.about, *examined())
        ]
        return TaskFindings(tuple(findings), any(each.needs_engine for each in asked))

    return wait


class _Asked:
    """A provider that was asked to introduce itself. The properties wait for its answer."""

    def __init__(self, project: Project, task: Task, block: ProviderBlock, introductions: Introductions) -> None:
        self._project = project
        self._task = task
        self._block = block
        self._introductions = introductions
        self._timeout_s = min(task.start_timeout_s, _ANSWER_S)
        self._absence: DStreamError | None = None
        try:
            self._spec = spec_of(block, project)
            self._answer = introductions.ask(self._spec, block.role, timeout_s=self._timeout_s)
        except DStreamError as error:  # from a registry, not only a ConfigError
            self._absence = error

    @property
    def about(self) -> list[Finding]:
        """The findings about the provider itself and its requirements."""
        subject = f"{self._block.role} {self._block.label}"
        try:
            found = self._introduction()
        except DStreamError as error:
            return [Finding("failure", subject, error.message, error.hint)]
        if found.hello is None:
            return [Finding("warning", subject, "no hello: a legacy provider, or slow to start")]
        path = self._spec.argv[0]
        where = "built in" if self._block.provider in BUILT_IN else f"{found.hello.version} at {path}".strip()
        listed = found.description.requirements if found.description else []
        needs = [Finding("ok" if each.ok else "failure", each.name, each.detail, each.fix) for each in listed]
        return [Finding("ok", subject, where), *needs]

    @property
    def needs_engine(self) -> bool:
        return "infrastructure" in self._capabilities and self._block.provider not in BUILT_IN

    def examine(self) -> Callable[[], list[Finding]]:
        """Begin to examine the source or destination; return a function that waits for the findings."""
        if "doctor" not in self._capabilities:
            return list
        schema = getattr(self._introduction().description, "config_schema", {})
        subject = f"{self._block.role} {self._block.label}"
        try:
            config = dict(self._spec.fit(schema) if self._spec.fit else self._block.config)
            command = self._command(config)
        except ConfigErrors as errors:
            failures = [_failure(subject, each) for each in errors.errors]
            return lambda: failures
        except DStreamError as error:
            failure = _failure(subject, error)
            return lambda: [failure]
        redactor = Redactor([*self._block.secrets, *secret_values(config, schema)], (config,))
        redactor.learn_read(*read_settings(config, self._block.read, schema))
        answer = self._introductions.examine(
            self._spec, self._block.role, command, timeout_s=self._task.start_timeout_s
        )
        return lambda: [
            Finding(each.mark, each.subject, redactor.text(each.text), redactor.text(each.fix)) for each in answer()
        ]

    def _command(self, config: dict[str, object]) -> Command:
        with closing(open_store(self._project.state, self._task.name)) as store:
            stored = store.load()
        state = msgspec.json.decode(stored.state) if stored and self._block.role == "input" else {}
        run = RunOptions(
            task=self._task.name,
            max_line=self._task.max_line,
            checkpoint_stored_at=stored.stored_at if stored else None,
        )
        return Command("doctor", config, state, run, infrastructure_of(self._project, self._task.name))

    @property
    def _capabilities(self) -> Sequence[str]:
        try:
            hello = self._introduction().hello
        except DStreamError:
            return ()
        return hello.capabilities if hello else ()

    def _introduction(self) -> Introduction:
        if self._absence is not None:
            raise self._absence
        return self._answer()


def _failure(subject: str, error: DStreamError) -> Finding:
    place = f"{error.place}: " if error.place else ""
    return Finding("failure", subject, f"{place}{error.message}", error.hint)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""

"""Runs lifecycle commands of scripted providers."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dstream.errors import SourceLocation
from dstream.host import LifecycleJob, LifecycleOutcome, ProviderSpec, StopRequest, run_lifecycle
from dstream.protocol.lifecycle import LifecycleOptions
from dstream.protocol.messages import Diagnostic, Infrastructure, Resource
from tests.conformance.runs import script


@dataclass
class CommandReport:
    """The events, resources and diagnostics that a command reported."""

    events: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    resources: list[Resource] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    started: threading.Event = field(default_factory=threading.Event)

    def log(self, level: str, event: str, /, **fields: Any) -> None:
        self.events.append((level, event, fields))

    def resource(self, resource: Resource) -> None:
        self.resources.append(resource)
        self.started.set()

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        self.diagnostics.append(diagnostic)


def scripted(folder: Path, kind: str, **config: Any) -> LifecycleJob:
    spec = ProviderSpec(
        argv=script("lifecycle.py", kind, str(folder)),
        config=config,
        label=kind,
        place=SourceLocation("dstream.hcl", 12, block='task "orders", output'),
        place_of=lambda path: SourceLocation("dstream.hcl", 14, 7) if path == "tables[0]" else None,
    )
    return lifecycle_job(spec)


def lifecycle_job(spec: ProviderSpec, **changes: Any) -> LifecycleJob:
    plain = LifecycleJob(
        task="orders",
        command="init",
        output=spec,
        infrastructure=Infrastructure(task="orders", stack="dev"),
        options=LifecycleOptions(),
        start_timeout_s=60.0,
        exit_grace_s=1.0,
    )
    return replace(plain, **changes)


def carry_out(
    job: LifecycleJob, report: CommandReport | None = None, stop: StopRequest | None = None
) -> LifecycleOutcome:
    return run_lifecycle(job, events=report or CommandReport(), stop=stop or StopRequest())


class Background:
    """A command in its own thread, so that a test can stop it."""

    def __init__(self, job: LifecycleJob) -> None:
        self.report = CommandReport()
        self.stop = StopRequest()
        self._outcome: LifecycleOutcome | None = None
        self._thread = threading.Thread(target=self._run, args=(job,))
        self._thread.start()

    def outcome(self) -> LifecycleOutcome:
        self._thread.join(20)
        assert self._outcome is not None, "the command did not end"
        return self._outcome

    def _run(self, job: LifecycleJob) -> None:
        self._outcome = carry_out(job, self.report, self.stop)

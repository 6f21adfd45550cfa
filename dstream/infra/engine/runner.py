"""Runs the Pulumi CLI on one stack, as a plain command or through the SDK with events, and explains its failures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from pulumi import RunError
from pulumi.automation import EngineEvent, LocalWorkspace
from pulumi.automation.errors import CommandError, ConcurrentUpdateError, StackAlreadyExistsError, StackNotFoundError

from dstream.errors import DStreamError, SystemFault
from dstream.infra.definition import Definition
from dstream.infra.engine.backend_failures import backend_failure
from dstream.infra.engine.cli import Engine
from dstream.infra.engine.command import EngineCommand
from dstream.infra.engine.environment import StackLocation, engine_environment
from dstream.infra.engine.events import EngineEvents, FailedCreation, Phase, Severity
from dstream.infra.engine.failures import failure, interrupted, may_exist, not_saved, unreadable, warning
from dstream.infra.engine.quiet_stack import QuietStack
from dstream.infra.plan.step import Step
from dstream.sdk import Stop

OnStep = Callable[[Step, Phase, str], None]
"""Called with a step, its phase, and the reason if it failed."""
OnEvent = Callable[[EngineEvent], None]
Call = Callable[[QuietStack, OnEvent], object]
"""A long-running SDK command on the given stack that reports events to the given function."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The command and the options that affect the engine."""

    command: str
    targets: tuple[str, ...] = ()
    target_dependents: bool = False
    excluded: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    parallel: int | None = None


@dataclass(frozen=True, slots=True)
class StackContext:
    """What a command needs to work on one stack."""

    place: StackLocation
    definition: Definition
    asked: Asked
    engine: Engine
    ports: Mapping[str, int]
    """Where attached resource types are served, by package."""
    environ: Mapping[str, str]
    stop: Stop
    warn: Callable[[Severity, str, str], None]


def urns_of(names: Sequence[str]) -> list[str] | None:
    """Patterns of the resources' URNs."""
    return [f"**::{name}" for name in names] or None


class StackRunner:
    """The engine's processes for one stack. Every method may raise DStreamError, and ConcurrentUpdateError if it locks
    the stack.
    """

    def __init__(self, context: StackContext) -> None:
        self.definition = context.definition
        self.ignored: Mapping[str, Sequence[str]] = {}
        """Recorded property paths whose changes are not drift, by URN."""
        self._context = context
        self._command = EngineCommand(context.engine, context.stop, context.place.record_file)
        self._broken: Exception | None = None

    def resume(self) -> None:
        """Continue after a cancellation, to complete the record."""
        self._command = EngineCommand(self._context.engine, Stop(), self._context.place.record_file)

    def run(
        self,
        arguments: list[str],
        *,
        of_stack: bool = True,
        opens_record: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """Run the CLI once and return its stdout. `of_stack`: on this stack; `opens_record`: with the passphrase.

        Raises StackNotFoundError and StackAlreadyExistsError as well.
        """
        stack = ["--stack", self._context.place.stack] if of_stack else []
        variables = {**self.environment(opens_record=opens_record), **(environment or {})}
        try:
            return self._command.run([*arguments, *stack], str(self._context.place.work_dir), variables).stdout
        except (StackNotFoundError, StackAlreadyExistsError, ConcurrentUpdateError):
            raise
        except CommandError as error:
            raise self._failure(EngineEvents(), []) from error

    def work(
        self,
        call: Call,
        keep_possible: Callable[[Sequence[FailedCreation]], None],
        on_step: OnStep = lambda *_: None,
        resumed: Collection[str] = (),
    ) -> EngineEvents:
        """Run an SDK command and return its events. `keep_possible` is called with failed creations that may have
        succeeded; `resumed`: URNs whose operations an earlier command left pending.
        """
        done: list[Step] = []

        def note(step: Step, phase: Phase, why: str) -> None:
            if phase == "done":
                done.append(step)
            on_step(step, phase, why)

        events = EngineEvents(note, self.ignored)
        self._broken = None

        def on_event(event: EngineEvent) -> None:
            """Keep the error: the SDK would turn it into a warning."""
            try:
                events.take(event)
            except Exception as error:  # noqa: BLE001 - raised again below
                self._broken = self._broken or error

        try:
            call(self._stack, on_event)
        except ConcurrentUpdateError:
            raise
        except StackNotFoundError as error:
            raise SystemFault("infra.failed", "the record disappeared while the command was running") from error
        except CommandError as error:
            uncertain = [
                each
                for each in events.failed_creations
                if may_exist(each, is_cancelled=self._context.stop.is_set(), is_resumed=each.step.urn in resumed)
            ]
            failed = self._failure(events, done, [each.step for each in uncertain])
            keep_possible(uncertain)
            raise failed from error
        if self._broken is not None:
            raise self._broken
        events.finish()
        for problem in events.problems:
            if problem.severity != "error" and (message := warning(problem.message)):
                self._context.warn(problem.severity, message, problem.name)
        return events

    def environment(self, *, opens_record: bool = True) -> dict[str, str]:
        plugins = self.definition.plugins.keys()
        passphrase = self._context.place.passphrase_file
        may_create = self._context.place.is_chosen and passphrase is not None and not passphrase.exists()
        environment = engine_environment(
            self._context.place,
            self._context.environ,
            attached=self._context.ports,
            plugins=plugins,
            opens_record=opens_record,
        )
        if may_create and passphrase is not None and passphrase.exists():
            self._context.warn(
                "warning",
                f"created {passphrase}, the passphrase of the records in this backend: keep it, every machine needs it",
                "",
            )
        return environment

    @property
    def _stack(self) -> QuietStack:
        workspace = LocalWorkspace(
            work_dir=str(self._context.place.work_dir),
            program=self._program,
            env_vars=self.environment(),
            pulumi_command=self._command,
        )
        return QuietStack(self._context.place.stack, workspace, urns_of(self._context.asked.excluded) or ())

    async def _program(self) -> None:
        """Run the program and keep its error: the SDK runs this in a thread and would turn the error into text."""
        try:
            rest = self.definition.program()
            if rest is not None:
                await rest
        except Exception as error:
            self._broken = error
            raise

    def _failure(self, events: EngineEvents, done: list[Step], uncertain: Sequence[Step] = ()) -> DStreamError:
        if isinstance(self._broken, DStreamError):
            return self._broken
        result = self._command.last
        done = done if self._command.is_change else []  # a preview has the same events
        unfinished = [*events.unfinished, *uncertain] if self._command.is_change else []
        if self._command.could_not_save:
            return not_saved(str(self._context.place.record_file), self._context.asked.command, done, unfinished)
        if self._context.stop.is_set():
            return interrupted(self._context.asked.command, done, unfinished)
        if result.code < 0:
            return interrupted(self._context.asked.command, done, unfinished, signal=-result.code)
        if self._broken is not None:
            # A RunError is a message for the user; its type would add nothing.
            name = "" if isinstance(self._broken, RunError) else f"{type(self._broken).__name__}: "
            return SystemFault("infra.program", f"the program failed: {name}{self._broken}")
        if of_backend := backend_failure(result.stderr, self._context.place.backend_url):
            return of_backend
        of = self.definition
        said = result.stderr or result.stdout  # `pulumi import` reports its errors on stdout
        return unreadable(events.problems, of.is_unreadable) or failure(
            said, events.problems, of.config_path_of, of.protect_setting, resumes=bool(done)
        )

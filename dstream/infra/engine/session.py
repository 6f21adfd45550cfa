"""An open stack: every engine call that the lifecycle commands need. commands.py decides what to call when."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pulumi.automation import CommandResult, EngineEvent
from pulumi.automation.errors import ConcurrentUpdateError, StackAlreadyExistsError, StackNotFoundError

from dstream.errors import DStreamError, SystemFault
from dstream.infra.definition import Definition
from dstream.infra.engine.download import DownloadError, download_plugin
from dstream.infra.engine.environment import uses_update_plans
from dstream.infra.engine.events import EngineEvents, FailedCreation
from dstream.infra.engine.failures import (
    Unreadable,
    not_installed,
)
from dstream.infra.engine.project_files import write_project, write_settings
from dstream.infra.engine.record import StackRecord
from dstream.infra.engine.record_file import read_record, write_empty_record
from dstream.infra.engine.runner import Asked, Call, OnStep, StackContext, StackRunner, urns_of
from dstream.infra.engine.safekeeping import check_folders, repair_record
from dstream.infra.engine.scratch import private_file, scratch_folder
from dstream.infra.engine.torn import remove_torn
from dstream.infra.engine.update_plan import allow_removals
from dstream.private_files import replace_private

_NOT_EMPTY = "still has resources"
"""How the engine refuses to remove a stack (pulumi, pkg/cmd/pulumi/stack/stack_rm.go)."""
T = TypeVar("T")


class Session:
    """One stack. Every method may raise DStreamError; those that lock the stack, also ConcurrentUpdateError."""

    def __init__(self, context: StackContext) -> None:
        self.place = context.place
        self.engine = context.engine
        self._context = context
        self._runner = StackRunner(context)

    @property
    def _definition(self) -> Definition:
        return self._runner.definition

    @property
    def uses_update_plans(self) -> bool:
        """Whether an update is constrained by the engine's plan of its preview."""
        return uses_update_plans(self._context.environ)

    def use(self, definition: Definition) -> None:
        """Continue with another definition of the same stack."""
        self._runner.definition = definition
        write_settings(self.place, {}, self._definition.engine_config)

    def record(self) -> StackRecord | None:
        """Return the stack's record; None if the stack does not exist."""
        if self.place.is_certainly_empty:
            return None
        write_project(self.place)
        if repair_record(self.place) or remove_torn(self.place):
            self._context.warn(
                "warning", "an earlier command was interrupted while saving its record; using the last complete one", ""
            )
        exported = read_record(self.place)
        if exported is None:
            try:
                exported = json.loads(self.run(["stack", "export"]))
            except StackNotFoundError:
                return None
        record = StackRecord(exported)
        self._definition.see_ids(record.ids)
        write_settings(self.place, record.stack_settings, self._definition.engine_config)
        self._runner.ignored = record.ignored
        return record

    def check_folders(self) -> None:
        """Raise SystemFault `infra.not_writable` or `infra.disk_full` if nothing can be changed."""
        check_folders(self.place)

    def create(self) -> bool:
        """Create an empty record. Return False if another command has just created it."""
        write_project(self.place)
        provider = ["--secrets-provider", self.place.secrets_provider] if self.place.secrets_provider else []
        try:
            self.run(["stack", "init", *provider])
        except StackAlreadyExistsError:
            return False
        write_settings(self.place, {}, self._definition.engine_config)
        return True

    def look_for_lock(self) -> None:
        """Raise ConcurrentUpdateError if another command holds the stack's lock, without reading any resource.

        The engine locks an existing stack before it refuses to create it again (pulumi, pkg/backend/diy, CreateStack).
        Pulumi Cloud refuses at once, but lists the stacks that are being updated.
        """
        if not self.place.is_cloud:
            self.create()
            return
        organization, _, stack = self.place.stack.rpartition("/")
        of_project = ["--project", self.place.project, *(["--organization", organization] if organization else [])]
        listed = json.loads(self.run(["stack", "ls", "--json", *of_project], of_stack=False))
        names = {self.place.stack, stack}  # without the organization if it is the default one
        if any(each["name"] in names and each.get("updateInProgress") for each in listed):
            raise ConcurrentUpdateError(CommandResult("", "the stack is being updated", 1))

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield a private folder for files of this command."""
        write_project(self.place)
        with scratch_folder(self.place.work_dir) as folder:
            yield folder

    def remove_if_empty(self) -> None:
        """Remove the record of a stack without resources. The engine refuses if another command has just recorded some.
        After a targeted destroy the engine's own resources remain, and so does the record.
        """
        record = self.record()
        if record is None or record.names:
            return
        try:
            self.run(["stack", "rm", "--yes"])
        except SystemFault as error:
            if _NOT_EMPTY not in error.message:
                raise

    def replace_record(self, exported: Mapping[str, Any]) -> None:
        with self.scratch() as folder:
            file = private_file(folder, "record.json")
            file.write_text(json.dumps(exported), encoding="utf-8")
            self.run(["stack", "import", "--file", str(file)])

    def preview(self, *, refresh: bool, plan_file: Path | None = None) -> EngineEvents:
        """Return what the program would change. `plan_file`: write the update plan that constrains `up`."""
        plan = str(plan_file) if plan_file else None
        events = self._work(
            lambda stack, on_event: stack.preview(refresh=refresh, plan=plan, **self._of_program(on_event))
        )
        if plan_file:
            allow_removals(plan_file, events.removed)
        return events

    def preview_destroy(self, *, refresh: bool) -> EngineEvents:
        return self._work(lambda stack, on_event: stack.preview_destroy(refresh=refresh, **self._common(on_event)))

    def drift(self) -> EngineEvents:
        """Compare recorded with actual state without writing."""
        return self._read(lambda stack, on_event, but: stack.preview_refresh(exclude=but, **self._common(on_event)))

    def up(
        self, *, refresh: bool, plan_file: Path | None, on_step: OnStep, resumed: Collection[str] = ()
    ) -> EngineEvents:
        """Update the resources. `resumed`: URNs whose operations an earlier command left pending."""
        plan = str(plan_file) if plan_file else None
        return self._work(
            lambda stack, on_event: stack.up(refresh=refresh, plan=plan, **self._of_program(on_event)),
            on_step,
            resumed,
        )

    def refresh(self, *, all_of_it: bool = False) -> EngineEvents:
        """Record the actual state; `all_of_it`: ignore the command's targets."""
        changed = {"target": None, "target_dependents": None} if all_of_it else {}
        return self._read(
            lambda stack, on_event, but: stack.refresh(exclude=but, **{**self._common(on_event), **changed})
        )

    def destroy(self, *, refresh: bool, on_step: OnStep) -> EngineEvents:
        return self._work(lambda stack, on_event: stack.destroy(refresh=refresh, **self._common(on_event)), on_step)

    def install_plugins(self) -> None:
        """Install those of the definition's plugins that are neither served nor installed, announcing each."""
        environment = self._runner.environment(opens_record=False)
        for name, version in self._definition.plugins.items():
            served_elsewhere = f",{environment.get('PULUMI_DEBUG_PROVIDERS', '')}"
            folder = Path(environment["PULUMI_HOME"], "plugins", f"resource-{name}-v{version}")
            if f",{name}:" in served_elsewhere or folder.exists():
                continue
            self._context.warn("info", f"installing provider plugin {name} {version} (first use)", "")
            write_project(self.place)
            try:
                self._install_plugin(name, version)
            except DStreamError as error:
                raise not_installed(name, version, environment["PULUMI_HOME"], error) from error

    def _install_plugin(self, name: str, version: str) -> None:
        """Let the engine download the plugin; with DSTREAM_PLUGIN_CHECKSUMS, download and check it first.

        The engine could check it, too (`--checksum`), but refuses an archive if its last bytes arrive together with the
        end of the response (checksumReader in pulumi/sdk/go/common/workspace/plugins.go, v3.259.0).
        """
        command = ["plugin", "install", "resource", name, f"v{version}"]
        digests = self._context.environ.get("DSTREAM_PLUGIN_CHECKSUMS")
        if not digests:
            self.run(command, of_stack=False, opens_record=False)
            return
        with self.scratch() as folder:
            try:
                archive = download_plugin(name, version, folder, Path(digests))
            except (DownloadError, OSError) as error:
                raise SystemFault("infra.no_plugin", str(error)) from error
            self.run([*command, "--file", str(archive)], of_stack=False, opens_record=False)

    def outputs(self) -> Mapping[str, Any]:
        """Return the program's exports with secrets in plain text; empty if the stack does not exist."""
        write_project(self.place)
        try:
            exported = self.run(["stack", "output", "--json", "--show-secrets"])
        except StackNotFoundError:
            return {}
        outputs: Mapping[str, Any] = json.loads(exported)
        return outputs

    def cancel(self) -> None:
        """Remove all locks of the stack."""
        write_project(self.place)
        self.run(["cancel", "--yes", "--stack", self.place.stack], of_stack=False, opens_record=False)

    def ask(self, question: Callable[[], T]) -> T:
        """Run `question` as a program that declares nothing, in a temporary backend, and return its result."""
        answers: list[T] = []
        with self.throwaway(replace(self._definition, program=lambda: answers.append(question()))) as session:
            session.preview(refresh=False)
        return answers[0]

    @contextmanager
    def throwaway(self, definition: Definition | None = None) -> Iterator[Session]:
        """Yield a session on a new stack in a temporary backend, to preview a stack that does not exist yet.
        `definition`: instead of this session's."""
        with tempfile.TemporaryDirectory(prefix="dstream-plan-") as folder:
            state = Path(folder, "state")
            work_dir = Path(folder, "work")
            state.mkdir()
            asked = self._context.asked if definition is None else Asked(self._context.asked.command)
            stack = self.place.stack.rpartition("/")[2]  # folders have no organizations
            place = replace(
                self.place, stack=stack, work_dir=work_dir, backend_url=state.as_uri(), secrets_provider=None
            )
            environ = {**self._context.environ, "PULUMI_CONFIG_PASSPHRASE": "of a temporary stack"}
            context = replace(
                self._context, place=place, definition=definition or self._definition, asked=asked, environ=environ
            )
            write_project(place)
            write_empty_record(place)
            write_settings(place, {}, context.definition.engine_config)
            yield Session(context)

    def has_converged_with(self, spec: str) -> bool:
        """Return whether the last complete `up` from this folder used this spec; False if unknown."""
        file = self._converged_file
        return file.exists() and file.read_text() == spec

    def note_converged(self, spec: str) -> None:
        """Store that the record matches this spec, including facts that no plan shows: protection, dependencies."""
        with suppress(OSError):  # everything is done and recorded; the next update runs the program again
            replace_private(self._converged_file, spec.encode())

    @property
    def _converged_file(self) -> Path:
        return self.place.work_dir / "converged"

    def run(self, arguments: list[str], *, of_stack: bool = True, **named: Any) -> str:
        """Run the CLI once and return its stdout (StackRunner.run)."""
        return self._runner.run(arguments, of_stack=of_stack, **named)

    def _work(self, call: Call, on_step: OnStep = lambda *_: None, resumed: Collection[str] = ()) -> EngineEvents:
        return self._runner.work(call, self._keep_possible, on_step, resumed)

    def _common(self, on_event: Callable[[EngineEvent], None]) -> dict[str, Any]:
        return {
            "on_event": on_event,
            "target": urns_of(self._context.asked.targets),
            "target_dependents": self._context.asked.target_dependents or None,
            "parallel": self._context.asked.parallel,
            "color": "never",
        }

    def _of_program(self, on_event: Callable[[EngineEvent], None]) -> dict[str, Any]:
        chosen = {"exclude": urns_of(self._context.asked.excluded), "replace": urns_of(self._context.asked.replaced)}
        return {**self._common(on_event), **chosen}

    def _read(self, call: Callable[..., object]) -> EngineEvents:
        """Run a refresh, but not of resources that the provider cannot read at present: their record is kept."""
        excluded: list[str] = []
        while True:
            try:
                return self._work(partial(call, but=excluded or None))
            except Unreadable as error:
                found = [urn for urn in dict.fromkeys(error.urns) if urn not in excluded]
                if not found or self._context.asked.targets:  # the engine accepts targets or exclusions, not both
                    raise
                excluded += found
                self._context.warn("warning", f"{error.message}; trusting its record", "")

    def _keep_possible(self, creations: Sequence[FailedCreation]) -> None:
        """Record creations that may have succeeded as pending, so that the next `init` looks them up.

        The engine records a failed creation as not done, even if a cancelled provider has only stopped waiting for it.
        """
        named = [(each, self._definition.resource_id(each.step.type, each.step.inputs)) for each in creations]
        possible = [{**each.resource, "id": id_} for each, id_ in named if id_]
        if not possible:
            return
        self._runner.resume()
        record = self.record()
        if record is not None:
            self.replace_record(record.with_possible(possible))

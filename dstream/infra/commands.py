"""init, plan, status and destroy for an open stack. docs/guides/infrastructure.md describes what each guarantees."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from dstream.errors import ConfigError
from dstream.infra.definition import Definition
from dstream.infra.description import Describer
from dstream.infra.engine.events import EngineEvents, Phase
from dstream.infra.engine.failures import Unreadable
from dstream.infra.engine.kept_plan import keep, take
from dstream.infra.engine.locks import holders_in
from dstream.infra.engine.record import StackRecord
from dstream.infra.engine.recovery import recover
from dstream.infra.engine.scratch import private_file
from dstream.infra.engine.session import Session
from dstream.infra.engine.turn import Turn
from dstream.infra.outputs import changed_outputs, stale_outputs
from dstream.infra.plan.document import (
    PlanDocument,
    UpdatePlan,
    check,
    digest,
    is_current,
    plan_document,
    read_document,
)
from dstream.infra.plan.losses import Loss, is_deleted, losses, refuse, refuse_unconfirmed
from dstream.infra.plan.step import PlannedStep, Step, deletes_nothing
from dstream.sdk import Figure, InfrastructureContext, Plan, Resource, Result, Status

T = TypeVar("T")

_STACK = "pulumi:pulumi:Stack"
_NOTHING_RECORDED = "no infrastructure recorded"


class Commands:
    """The four lifecycle commands. Run one per session."""

    def __init__(self, session: Session, definition: Definition, context: InfrastructureContext) -> None:
        self._session = session
        self._definition = definition
        self._context = context
        self._options = context.options
        self._begun = False
        self._looked_up: frozenset[str] = frozenset()
        self._half_replaced: frozenset[str] = frozenset()

    def plan(self) -> Plan:
        """Return what init or destroy would do. Takes no lock and writes nothing."""
        destroy = self._options.destroy
        record = self._record(is_destroyed=destroy)
        if record is not None or not destroy:
            self._session.install_plugins()
        if self._definition.unrecorded and self._options.refresh and not destroy:
            known = [(each.type, each.name) for each in record.resources] if record else []
            known += [(each.type, each.name) for each in record.pending] if record else []
            self._definition.unrecorded.begin(known, self._options.target)
        outputs: Sequence[Resource] = ()
        kept = None
        if record is None and destroy:
            steps = []
        elif record is not None and destroy:
            self._warn_of_pending(record)
            events, is_read = self._previewed(self._session.preview_destroy, refresh=self._options.refresh)
            steps = self._with_real_outputs(events.steps, is_read=is_read)
        elif self._options.init_follows and self._session.uses_update_plans:
            self._session.check_folders()
            with self._session.scratch() as folder:
                file = private_file(folder, "update-plan.json")
                events, steps = self._planned(record, file)
                outputs = self._outputs(events, record)
                kept = None if outputs else self._kept(file, record, events)
        else:
            events, steps = self._planned(record, None)
            outputs = self._outputs(events, record)
        self._check_targets(record, steps)
        found = self._losses(steps)
        document = plan_document(
            steps,
            spec=self._definition.spec,
            state=record.digest if record else "",
            engine=self._session.engine.version,
            destroy=destroy,
            update_plan=kept,
        )
        resources = [*(self._describer.step(each, found) for each in steps), *outputs]
        if destroy:
            resources += self._left_record(record, steps)
            return Plan(resources, _NOTHING_RECORDED if record is None else "", document, self._definition.where)
        return Plan(resources, self._definition.message(steps), document, self._definition.where)

    def _planned(self, record: StackRecord | None, file: Path | None) -> tuple[EngineEvents, list[Step]]:
        """Preview the program; `file`: where to write the engine's update plan."""
        if record is None:
            with self._session.throwaway() as session:
                events = session.preview(refresh=False, plan_file=file)
            return events, events.steps
        self._warn_of_pending(record)
        preview = partial(self._session.preview, plan_file=file)
        events, is_read = self._previewed(preview, refresh=self._options.refresh)
        return events, self._with_real_outputs(events.steps, is_read=is_read)

    def _kept(self, file: Path, record: StackRecord | None, events: EngineEvents) -> UpdatePlan | None:
        """Keep the update plan if the `init` that follows need not evaluate it again: nothing is lost by it."""
        if (record and record.pending) or not deletes_nothing(events.steps):
            return None
        kept = keep(file, self._session.place.work_dir, is_of_temporary_stack=record is None)
        return UpdatePlan(kept, refresh=events.is_record_outdated) if kept else None

    def status(self) -> Status:
        """Compare recorded with actual infrastructure."""
        record = self._record(is_destroyed=True)
        if record is None or not record.is_initialised:
            return Status(message=f"{_NOTHING_RECORDED}; run `dstream init`", where=self._definition.where)
        if not self._options.refresh:
            count = len(record.names)
            message = f"{count:,} recorded, not compared with the actual {'resource' if count == 1 else 'resources'}"
            return Status((), record.outputs, message, where=self._definition.where)
        self._session.install_plugins()
        if self._options.refresh_only:
            events = self._in_turn(self._refreshed)
            record = self._session.record() or record
            message = "recorded the actual state"
        else:
            self._warn_of_pending(record)
            events = self._session.drift()
            message = ""
        self._check_targets(record, events.verdicts)
        resources = [*(self._describer.verdict(each) for each in events.verdicts), *self._stale_outputs(record)]
        figures: Sequence[Figure] = self._definition.figures(events.verdicts)
        return Status(resources, record.outputs, message, figures, self._definition.where)

    def init(self) -> Result:
        """Apply the config. Raises LockedError, RefusedError and the engine's failures."""
        self._session.install_plugins()
        return self._in_turn(self._init)

    def destroy(self) -> Result:
        """Delete what init created, then the record."""
        return self._in_turn(self._destroy)

    def _in_turn(self, work: Callable[[], T]) -> T:
        self._session.check_folders()
        return Turn(self._session, self._context).run(work)

    def _init(self) -> Result:
        self._begun = False
        record = self._record(is_destroyed=False)
        state = record.digest if record else ""
        was_killed = record is not None and bool(record.pending)
        is_new = record is None and self._session.create()
        if record is None:
            record = None if is_new else self._session.record()
        elif was_killed:
            record = self._recover(record)
        try:
            return self._converge(record, state, refresh=not is_new and (self._options.refresh or was_killed))
        finally:
            if is_new and not self._begun and not holders_in(self._session.place):
                self._session.remove_if_empty()  # refused before anything was created: leave nothing behind

    def _converge(self, record: StackRecord | None, state: str, *, refresh: bool) -> Result:
        with self._session.scratch() as folder:
            plan_file = private_file(folder, "update-plan.json") if self._session.uses_update_plans else None
            shown = self._taken(plan_file, record, state)
            if shown is not None:
                return self._applied(shown, plan_file)
            preview, refresh = self._previewed(partial(self._session.preview, plan_file=plan_file), refresh=refresh)
            self._check_targets(record, preview.steps)
            self._guard(preview.steps, state, is_read=refresh, destroy=False)
            outputs = self._outputs(preview, record)
            message = "" if outputs or any(each.op != "same" for each in preview.steps) else "nothing to do"
            if not (outputs or self._has_work(preview, record)):
                return Result([self._describer.step(each) for each in preview.steps], preview.outputs, message)
            # If the record is up to date, there is nothing new to read.
            up = self._up(plan_file, refresh=refresh and preview.is_record_outdated)
        done = self._completed(preview.steps, up)
        return Result([*(self._describer.step(each) for each in done), *outputs], up.outputs, message)

    def _taken(self, plan_file: Path | None, record: StackRecord | None, state: str) -> PlanDocument | None:
        """Move the update plan that `plan` kept to `plan_file`, and return the plan. None: preview again."""
        shown = read_document(self._options.expect) if self._options.expect is not None else None
        digest = shown.update_plan.digest if shown and shown.update_plan else ""
        if plan_file is None or not take(digest, self._session.place.work_dir, plan_file):
            return None
        if shown is None or (record and record.pending) or not deletes_nothing(shown.steps):
            return None
        engine = self._session.engine.version
        return shown if is_current(shown, spec=self._definition.spec, state=state, engine=engine) else None

    def _applied(self, shown: PlanDocument, plan_file: Path | None) -> Result:
        """Apply a plan that was made a moment ago. The engine refuses whatever is not in its update plan."""
        up = self._up(plan_file, refresh=shown.update_plan is not None and shown.update_plan.refresh)
        return Result([self._describer.step(each) for each in self._completed(shown.steps, up)], up.outputs)

    def _up(self, plan_file: Path | None, *, refresh: bool) -> EngineEvents:
        self._begun = True
        return self._session.up(refresh=refresh, plan_file=plan_file, on_step=self._progress, resumed=self._looked_up)

    def _completed(self, planned: Sequence[PlannedStep], up: EngineEvents) -> list[Step]:
        if not (self._options.target or self._options.exclude):
            self._session.note_converged(digest(self._definition.spec))
        return self._with_renewed(planned, up.steps)

    def _with_renewed(self, planned: Sequence[PlannedStep], done: Sequence[Step]) -> list[Step]:
        """Write what the engine skipped although it was planned, and return all steps as they were carried out."""
        updates = {each.urn: each for each in planned if each.op == "update"}
        skipped = [
            replace(each, op="update", diff=updates[each.urn].diff)
            for each in done
            if each.op == "same" and each.urn in updates
        ]
        renewed: Collection[str] = ()
        if skipped:
            try:
                renewed = self._definition.renewed(skipped, self._session.ask)
            except Exception as error:  # noqa: BLE001 - the update itself is done and recorded
                names = ", ".join(each.name for each in skipped)
                self._context.diagnostic("warning", f"{names} could not be updated after a replacement: {error}")
        written = {each.urn: each for each in skipped if each.urn in renewed}
        for each in written.values():
            self._progress(each, "done", "")
        return [written.get(each.urn, each) for each in done]

    def _destroy(self) -> Result:
        record = self._record(is_destroyed=True)
        if record is None:
            return Result(message=f"nothing to do: {_NOTHING_RECORDED}")
        self._session.install_plugins()
        state = record.digest
        if record.pending:
            record = self._recover(record)
        preview, is_read = self._previewed(self._session.preview_destroy, refresh=self._options.refresh)
        self._check_targets(record, preview.steps)
        self._guard(preview.steps, state, is_read=is_read, destroy=True)
        done = self._session.destroy(refresh=is_read and preview.is_record_outdated, on_step=self._progress)
        self._session.remove_if_empty()
        return Result([*(self._describer.step(each) for each in done.steps), *self._left_record(record, preview.steps)])

    def _left_record(self, record: StackRecord | None, steps: Sequence[Step]) -> Sequence[Resource]:
        """The record, if it is all that is left to delete: after a destroy that was killed near its end, or an edit."""
        if record is None or self._options.target or self._options.exclude or any(each.op != "same" for each in steps):
            return ()
        return [Resource(self._session.place.stack, _STACK, "delete", note="no resource of it exists", kind="record")]

    def _previewed(self, preview: Callable[..., EngineEvents], *, refresh: bool) -> tuple[EngineEvents, bool]:
        """Return the preview, and whether it has read the actual resources: without refresh, or if the provider cannot
        read one of them at present, it trusts the record.
        """
        if refresh:
            try:
                return preview(refresh=True), True
            except Unreadable as error:
                self._context.diagnostic("warning", f"{error.message}; trusting the record instead, without drift")
        return preview(refresh=False), False

    def _refreshed(self) -> EngineEvents:
        record = self._session.record()
        if record is not None and record.pending:
            self._recover(record)
        return self._session.refresh()

    def _record(self, *, is_destroyed: bool) -> StackRecord | None:
        """Return the record. Raises ConfigError if this program cannot use it; `is_destroyed`: only to destroy it."""
        record = self._session.record()
        self._half_replaced = record.half_replaced if record else frozenset()
        if record is None and self._session.place.is_chosen and self._session.place.is_new_backend:
            self._context.diagnostic(
                "warning",
                f"{self._session.place.folder} contains no records yet; if it should, check backend_url or "
                "PULUMI_BACKEND_URL",
            )
        if record is not None:
            continued = self._definition.continued(record.resources, is_destroyed)
            if continued is not None:
                self._definition = continued
                self._session.use(continued)
        return record

    def _recover(self, record: StackRecord) -> StackRecord:
        self._looked_up = frozenset(each.urn for each in record.pending)
        return recover(self._session, record, self._definition, lambda text: self._context.diagnostic("warning", text))

    def _guard(self, steps: Sequence[Step], state: str, *, is_read: bool, destroy: bool) -> None:
        """Refuse changes that were not in the plan, and data loss unless allowed."""
        if self._options.expect is not None:
            check(
                read_document(self._options.expect),
                steps,
                spec=self._definition.spec,
                state=state,
                engine=self._session.engine.version,
                destroy=destroy,
                exact=self._options.exact,
                looked_up=self._looked_up,
            )
        is_allowed = self._options.allow_data_loss
        deleted_types = {each.type for each in steps if is_deleted(each)}
        if is_allowed and not deleted_types & set(self._definition.confirmed_by_name):
            return
        found = self._losses(self._with_real_outputs(steps, is_read=is_read))
        if not is_allowed:
            refuse(found, self._definition)
        refuse_unconfirmed(found, self._definition, self._options.confirmed)

    def _losses(self, steps: Sequence[Step]) -> Mapping[str, Loss]:
        existing = [each for each in steps if each.urn not in self._half_replaced]
        deleted = [each for each in existing if is_deleted(each)]
        contents = self._definition.contents(deleted, self._session.ask) if deleted else {}
        return losses(existing, self._definition, contents)

    def _with_real_outputs(self, steps: Sequence[Step], *, is_read: bool) -> list[Step]:
        """Read the actual outputs if anything would be deleted: recorded message counts may be outdated."""
        if is_read or not any(is_deleted(each) for each in steps):
            return list(steps)
        real = {each.urn: each.outputs for each in self._session.drift().verdicts}
        return [replace(each, outputs=real.get(each.urn, each.outputs)) for each in steps]

    def _has_work(self, preview: EngineEvents, record: StackRecord | None) -> bool:
        """Return whether to start an update, even if it only records facts that no plan shows, such as dependencies."""
        if record is None or not record.is_initialised:
            return True
        if not self._session.has_converged_with(digest(self._definition.spec)):
            return True
        return any(each.op != "same" for each in [*preview.steps, *preview.verdicts])

    def _outputs(self, preview: EngineEvents, record: StackRecord | None) -> Sequence[Resource]:
        """The outputs that are updated although no resource changes."""
        return [*changed_outputs(preview, record), *self._stale_outputs(record)] if record else []

    def _stale_outputs(self, record: StackRecord) -> Sequence[Resource]:
        return stale_outputs(self._session, self._definition, self._context, record)

    @property
    def _describer(self) -> Describer:
        return Describer(self._definition, self._options)

    def _warn_of_pending(self, record: StackRecord) -> None:
        if not record.pending:
            return
        names = ", ".join(dict.fromkeys(each.name for each in record.pending))
        place = self._session.place
        alive = [each for each in holders_in(place) if not each.is_dead]
        if alive:
            self._context.diagnostic("info", f"{alive[0]} is changing {names}")
        elif place.folder is not None:
            self._context.diagnostic(
                "warning", f"an earlier command was interrupted while changing {names}; `dstream init` resumes"
            )
        else:  # only the engine can see the locks of this backend
            self._context.diagnostic(
                "warning",
                f"another command is changing {names}, or was interrupted; if none is running, `dstream init` resumes",
            )

    def _check_targets(self, record: StackRecord | None, steps: Sequence[Step]) -> None:
        known = dict.fromkeys([*(record.names if record else ()), *(each.name for each in steps)])
        options = self._options
        unknown = [each for each in (*options.target, *options.exclude, *options.replace) if each not in known]
        if unknown:
            raise ConfigError(
                "infra.unknown_target",
                f"unknown resource: {', '.join(unknown)}",
                hint=f"Known resources: {', '.join(sorted(known)) or 'none'}.",
            )

    def _progress(self, step: Step, phase: Phase, why: str) -> None:
        self._context.resource(self._describer.progress(step, why if phase == "failed" else ""), phase)

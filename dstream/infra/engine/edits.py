"""Edits of a task's record that leave its resources alone, for `dstream state infra`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import yaml
from pulumi.automation.errors import ConcurrentUpdateError

from dstream.errors import ConfigError
from dstream.infra.definition import Definition, Recorded
from dstream.infra.engine.attachments import no_language
from dstream.infra.engine.environment import place_of
from dstream.infra.engine.locks import holders_in, locked, named_in
from dstream.infra.engine.opening import opened
from dstream.infra.engine.record import RecordedEntry, StackRecord
from dstream.infra.engine.runner import Asked
from dstream.infra.engine.scratch import private_file, scratch_folder
from dstream.infra.engine.session import Session
from dstream.sdk import Stop

if TYPE_CHECKING:
    from dstream.protocol.messages import Infrastructure

_IMPORT = ["--generate-code=false", "--protect=false", "--yes", "--skip-preview"]
Confirm = Callable[[Sequence[RecordedEntry]], None]
"""Called with what will change, before anything does. Raises to stop."""


class RecordEditor:
    """The record of one task. Every method raises DStreamError; `infra.no_record` if nothing is recorded."""

    def __init__(self, infrastructure: Infrastructure, environ: Mapping[str, str]) -> None:
        self._infrastructure = infrastructure
        self._environ = environ

    def entries(self) -> list[RecordedEntry]:
        """Return the recorded resources, in order of creation."""
        with self._opened(to_change=False) as session:
            return self._record(session).entries

    def forget(self, names: Sequence[str], confirm: Confirm) -> None:
        """Remove resources, with what is inside them, from the record."""
        with self._opened() as session:
            record = self._record(session)
            gone = self._chosen(record, names)
            confirm(gone)
            session.replace_record(record.without([each.urn for each in gone]))

    def move(self, names: Sequence[str], target: RecordEditor, confirm: Confirm) -> None:
        """Move resources, with what is inside them, to the record of another task in the same backend."""
        with self._opened() as session, target._opened() as other:
            record, theirs = self._record(session), other.record()
            moved = self._chosen(record, names)
            done = target._already_moved(moved, record, theirs) if theirs else []
            confirm(moved)
            if done:
                session.replace_record(record.without(done))
            if theirs is None:
                other.create()
            stacks = ["--source", session.place.full_name, "--dest", other.place.full_name]
            if left := [each.urn for each in moved if each.urn not in done]:
                other.run(["state", "move", "--yes", *stacks, *left], of_stack=False)
            session.remove_if_empty()

    def rename(self, target: RecordEditor, confirm: Confirm) -> None:
        """Make this the record of another task, which has none."""
        with self._opened() as session, target._opened() as other:
            record = self._record(session)
            theirs = other.record()
            if theirs is not None and theirs.entries:
                raise target._exists(f"task {target._task} already has recorded infrastructure")
            confirm(record.entries)
            if theirs is not None:
                other.remove_if_empty()
            session.run(["stack", "rename", other.place.full_name])
            session.place.settings_file.unlink(missing_ok=True)
            other.record()  # writes its settings

    def import_resource(self, resource_type: str, name: str, resource_id: str) -> None:
        """Record an existing resource, with its actual settings. The record is created if it does not exist."""
        with self._opened() as session:
            record = session.record()
            if record is not None and any((each.type, each.name) == (resource_type, name) for each in record.entries):
                raise self._exists(f"{name} is already recorded by task {self._task}")
            if record is None:
                session.create()
            package = resource_type.partition(":")[0]
            version = record.provider_version(package) if record else ""
            resource = {
                "type": resource_type,
                "name": name,
                "id": resource_id,
                **({"version": version} if version else {}),
            }
            try:
                with scratch_folder(session.place.work_dir) as folder:
                    file = private_file(folder, "import.json")
                    file.write_text(json.dumps({"resources": [resource]}), encoding="utf-8")
                    with no_language() as port:
                        session.run(
                            ["import", "--file", str(file), *_IMPORT],
                            environment={"PULUMI_DEBUG_LANGUAGES": f"python:{port}"},
                        )
            finally:
                session.remove_if_empty()

    @property
    def _task(self) -> str:
        return self._infrastructure.task

    @contextmanager
    def _opened(self, *, to_change: bool = True) -> Iterator[Session]:
        place = place_of(self._infrastructure, self._environ)
        settings = place.settings_file
        written = (yaml.safe_load(settings.read_text()) or {}) if settings.exists() else {}
        definition = Definition(program=lambda: None, spec={}, engine_config=written.get("config") or {})
        if held_by := [each for each in holders_in(place) if not each.is_dead]:
            raise locked(held_by)
        try:
            with opened(place, definition, Asked("state infra"), self._environ, Stop(), lambda *_: None) as session:
                if to_change:
                    session.check_folders()
                yield session
        except ConcurrentUpdateError as error:
            raise locked(named_in(str(error))) from error

    def _record(self, session: Session) -> StackRecord:
        record = session.record()
        if record is None or not record.entries:
            raise ConfigError(
                "infra.no_record",
                f"task {self._task} has no recorded infrastructure in stack {session.place.stack}",
                hint="`dstream list` shows the tasks with recorded infrastructure.",
            )
        return record

    def _chosen(self, record: StackRecord, names: Sequence[str]) -> list[RecordedEntry]:
        known = list(dict.fromkeys(each.name for each in record.entries))
        if unknown := [each for each in names if each not in known]:
            raise ConfigError(
                "infra.unknown_target",
                f"task {self._task} records no resource named {', '.join(unknown)}",
                hint=f"Recorded resources: {', '.join(sorted(known))}.",
            )
        return record.with_contents(names)

    def _already_moved(self, moved: Sequence[RecordedEntry], record: StackRecord, ours: StackRecord) -> list[str]:
        """Return the URNs that a killed `move` has already copied to this task's record: the engine saves it first
        (pulumi/pkg/cmd/pulumi/state/state_move.go). Raises ConfigError for a different resource of the same name.
        """
        theirs, recorded = _states(record), _states(ours)
        done = [each for each in moved if (each.type, each.name) in recorded]
        for each in done:
            if recorded[each.type, each.name] != theirs[each.type, each.name]:
                raise self._exists(f"{each.name} is already recorded by task {self._task}")
        return [each.urn for each in done]

    def _exists(self, message: str) -> ConfigError:
        return ConfigError(
            "infra.record_exists",
            message,
            hint=f"Remove it from that record first, e.g. `dstream state infra rm {self._task} NAME`.",
        )


def _states(record: StackRecord) -> dict[tuple[str, str], tuple[str, Recorded]]:
    """The id and the properties of each resource, by type and name."""
    found = zip(record.entries, record.resources, strict=True)
    return {(entry.type, entry.name): (entry.id, resource) for entry, resource in found}

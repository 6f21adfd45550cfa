"""Recovery from an interrupted command: resolves pending steps, so that nothing is created twice or lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dstream.infra.definition import Definition
from dstream.infra.engine.record import Pending, StackRecord
from dstream.infra.engine.session import Session


def recover(session: Session, record: StackRecord, definition: Definition, tell: Callable[[str], None]) -> StackRecord:
    """Return the record after resolving every pending step.

    A pending creation whose id is known (from the record or the definition) is recorded as created; the refresh drops
    it if it does not exist. All other pending steps concern recorded resources, which the refresh reads.
    `pulumi refresh --import-pending-creates` is no substitute: with an inline program (v3.259.0) it drops them.
    """
    pending = record.pending
    if not pending:
        return record
    created = [each for each in pending if each.kind in ("creating", "importing")]
    ids = _ids(created, definition)
    if len(ids) < len({each.urn for each in created}):
        session.preview(refresh=False)  # a program may learn from the cloud what an id consists of
        ids = _ids(created, definition)
    session.replace_record(record.settled(ids))  # takes the stack's lock, so no command is still at work
    tell(f"an earlier command was interrupted while changing {_names(pending)}: checking its outcome")
    session.refresh(all_of_it=True)
    return session.record() or record


def _ids(created: Sequence[Pending], definition: Definition) -> dict[str, str]:
    found = {each.urn: each.id or definition.resource_id(each.type, each.inputs) for each in created}
    return {urn: id_ for urn, id_ in found.items() if id_}


def _names(pending: Sequence[Pending]) -> str:
    return ", ".join(dict.fromkeys(each.name for each in pending))

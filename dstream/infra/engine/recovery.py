"""After a kill: what was begun and not recorded is looked up, so that nothing is made twice or forgotten."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dstream.infra.definition import Definition
from dstream.infra.engine.record import Pending, StackRecord
from dstream.infra.engine.session import Session


def recover(session: Session, record: StackRecord, definition: Definition, tell: Callable[[str], None]) -> StackRecord:
    """The record as it is once every pending step is looked up.

    What was being made counts as made where its id is known (from the record, or by the definition); the refresh takes
    it out again when it is not there. Everything else is in the record already, and the refresh reads what became of
    it. `pulumi refresh --import-pending-creates` does not do it: with an inline program (v3.259.0) it only drops them.
    """
    pending = record.pending
    if not pending:
        return record
    tell(f"an earlier command was killed while it was at work on {_names(pending)}: looking what became of that")
    ids = {}
    for each in pending:
        if each.kind in ("creating", "importing"):
            found = each.id or definition.resource_id(each.type, each.inputs)
            if found:
                ids[each.urn] = found
    session.replace_record(record.settled(ids))
    session.refresh(all_of_it=True)
    return session.record() or record


def _names(pending: Sequence[Pending]) -> str:
    return ", ".join(dict.fromkeys(each.name for each in pending))

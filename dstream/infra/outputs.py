"""The outputs of a stack that `init` updates although no resource changes."""

from __future__ import annotations

from collections.abc import Sequence

from dstream.infra.definition import Definition
from dstream.infra.engine.events import EngineEvents
from dstream.infra.engine.record import StackRecord
from dstream.infra.engine.session import Session
from dstream.infra.plan.values import UNKNOWN
from dstream.sdk import Difference, InfrastructureContext, Resource


def changed_outputs(preview: EngineEvents, record: StackRecord) -> Sequence[Resource]:
    """The outputs that the preview changes, such as one that the program now also exports."""
    if not record.is_initialised or any(each.op != "same" for each in [*preview.steps, *preview.verdicts]):
        return ()
    old, new = record.outputs, preview.outputs
    return [
        Resource(
            name,
            "output",
            "update" if name in old and name in new else "create" if name in new else "delete",
            [Difference("value", old.get(name), new.get(name))],
        )
        for name in dict.fromkeys([*new, *old])
        if old.get(name) != new.get(name) and not (name in old and new.get(name) == UNKNOWN)
    ]


def stale_outputs(
    session: Session, definition: Definition, context: InfrastructureContext, record: StackRecord
) -> Sequence[Resource]:
    """The recorded outputs that are no longer valid. Secrets print alike, so only the definition can compare them."""
    if definition.stale_outputs is None or not record.outputs or not context.options.refresh:
        return ()
    try:
        names = definition.stale_outputs(session.outputs(), session.ask)
    except Exception as error:  # noqa: BLE001 - whatever the reason is, the command does not depend on it
        context.diagnostic("info", f"cannot tell whether the recorded outputs are still valid: {error}")
        return ()
    return [Resource(name, "output", "update", note="no longer valid") for name in names]

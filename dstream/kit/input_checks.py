"""Checks for inputs: rows, checkpoints, their order, and the end line."""

from __future__ import annotations

from typing import cast

import msgspec

from dstream.kit.dialogue import Dialogue
from dstream.kit.subject import NotObservable, Subject, Violation, collect, covers_rows, state_of
from dstream.protocol.messages import UNREADABLE, Checkpoint, End

_FEW = 2


def writes_rows(subject: Subject) -> None:
    """Each row is a JSON object with `data`, and none follows the end line."""
    record = subject.streamed.record
    for fault in record.faults:
        if fault.kind == "row":
            raise Violation(fault.reason)
    if record.error is not None:
        raise Violation(f"it fails: {record.error.message}")
    if not record.row_count:
        raise NotObservable(f"no row arrived within {subject.limits.rows_s:g} s; test it with a source that has rows")


def numbers_its_checkpoints(subject: Subject) -> None:
    """Checkpoints are numbered 1, 2, 3, ..., and the state of each is a JSON object."""
    _check_capability(subject)
    expected = 1
    for said in subject.streamed.record.checkpoints:
        checkpoint = cast(Checkpoint, said.message)
        if checkpoint.seq != expected:
            raise Violation(f"checkpoint {checkpoint.seq} arrived, expected {expected}")
        if not isinstance(checkpoint.state, msgspec.Raw) or not bytes(checkpoint.state).lstrip().startswith(b"{"):
            raise Violation(f"checkpoint {checkpoint.seq} has no state object")
        expected += 1
    if expected == 1:
        raise Violation(f"no checkpoint arrived within {subject.limits.rows_s:g} s or before the end line")


def counts_its_rows(subject: Subject) -> None:
    """The n of a checkpoint is the number of rows since the previous one."""
    _check_capability(subject)
    covered = 0
    for said in subject.streamed.record.checkpoints:
        checkpoint = cast(Checkpoint, said.message)
        rows = said.rows_before - covered
        if checkpoint.n != rows:
            raise Violation(
                f"checkpoint {checkpoint.seq} has n = {checkpoint.n}, but {rows} rows arrived since the previous one"
            )
        covered = said.rows_before


def drains_on_stop(subject: Subject) -> None:
    """After a stop, or on its own, it ends with a checkpoint that covers its last row, an end line, and exit code 0."""
    dialogue = subject.streamed
    record, end = dialogue.record, dialogue.record.end
    if end is None:
        how = dialogue.ending()
        raise Violation(f"no end line arrived within {subject.limits.drain_s:g} s of the stop; {how}")
    checkpoints = record.checkpoints
    last = cast(Checkpoint, checkpoints[-1].message).seq if checkpoints else 0
    if cast(End, end.message).seq != last:
        raise Violation(f"its end line names checkpoint {cast(End, end.message).seq}, but its last one was {last}")
    uncovered = end.rows_before - (checkpoints[-1].rows_before if checkpoints else 0)
    if uncovered:
        raise Violation(f"{uncovered} rows follow its last checkpoint")
    if dialogue.exit_code is None:
        raise Violation(f"it is still running {subject.limits.exit_s:g} s after its end line and EOF")
    if dialogue.exit_code != 0:
        raise Violation(f"it must exit with 0 after its end line; {dialogue.ending()}")


def respects_max_in_flight(subject: Subject) -> None:
    """It keeps writing while at most max_in_flight checkpoints are unacknowledged, and continues after an ack."""
    if "ack" not in subject.capabilities:
        raise NotObservable("it has no capability ack")
    with subject.running(max_in_flight=_FEW) as dialogue:
        dialogue.wait_for_checkpoint(_FEW - 1, subject.limits.rows_s)
        if len(dialogue.record.checkpoints) < _FEW:
            raise NotObservable(f"fewer than {_FEW} checkpoints arrived")
        if dialogue.wait_for(lambda record: len(record.checkpoints) > _FEW, subject.limits.watch_s):
            raise Violation(f"with max_in_flight = {_FEW} it wrote checkpoint {_FEW + 1} before the first ack")
        dialogue.acknowledge()
        if not dialogue.wait_for_checkpoint(_FEW, subject.limits.rows_s) and covers_rows(
            dialogue.record.checkpoints[-1].message
        ):
            raise Violation(f"it did not continue within {subject.limits.rows_s:g} s of an ack")


def resumes_from_a_checkpoint(subject: Subject) -> None:
    """Killed and restarted with the state of a checkpoint, it resumes with the next row and skips none."""
    _check_capability(subject)
    with subject.running() as dialogue:
        collect(dialogue, subject.limits)
        dialogue.kill()
        dialogue.exits(subject.limits.exit_s)
    state, expected = _resumable(dialogue)
    with subject.running(state=state) as again:
        if _arrives(again, expected, subject):
            return
        found = again.record.rows
    first = f"it resumed with {_data(found[0])!r}" if found else "no row arrived"
    raise Violation(f"the row {_data(expected)!r} after the checkpoint is missing: {first}")


def honors_once(subject: Subject) -> None:
    """With `once`, it reads up to the source's end as of its start and exits with 0 after the last ack."""
    if "once" not in subject.capabilities:
        raise NotObservable("it has no capability once")
    with subject.running(once=True) as dialogue:
        seen = 0
        while not dialogue.record.end and dialogue.wait_for_checkpoint(seen, subject.limits.drain_s):
            seen = len(dialogue.record.checkpoints)
            dialogue.acknowledge()
        if not dialogue.record.end:
            raise Violation(f"no end line arrived, and no checkpoint for {subject.limits.drain_s:g} s")
        dialogue.acknowledge()
        dialogue.close_stdin()
        dialogue.exits(subject.limits.exit_s)
        if dialogue.exit_code != 0:
            raise Violation(f"it must exit with 0 after its end line; {dialogue.ending()}")


def _check_capability(subject: Subject) -> None:
    if "checkpoint" not in subject.capabilities:
        raise NotObservable("it has no capability checkpoint")


def _resumable(dialogue: Dialogue) -> tuple[dict[str, object], bytes]:
    """The state of the first checkpoint with rows before and after it, and the first row after it."""
    record = dialogue.record
    for said in record.checkpoints:
        if 0 < said.rows_before < len(record.rows):
            return state_of(said.message), record.rows[said.rows_before]
    raise NotObservable("no row followed its first checkpoint; test it with a source that has more rows")


def _arrives(dialogue: Dialogue, expected: bytes, subject: Subject) -> bool:
    """Return whether the expected row arrives. Rows may repeat, so it may arrive late."""
    wanted, checked = _data(expected), 0
    while True:
        rows = dialogue.record.rows
        if any(_data(row) == wanted for row in rows[checked:]):
            return True
        checked = len(rows)
        dialogue.acknowledge()
        if dialogue.record.end or not dialogue.wait_for_row(checked, subject.limits.rows_s):
            return False


def _data(row: bytes) -> object:
    try:
        return msgspec.json.decode(row)["data"]
    except (*UNREADABLE, KeyError):
        return row

"""Checks for transforms: the order of checkpoints, their counts, and the end."""

from __future__ import annotations

from typing import cast

from dstream.kit.dialogue import Dialogue
from dstream.kit.output_checks import row
from dstream.kit.subject import NotObservable, Subject, Violation
from dstream.protocol.messages import Checkpoint, End, Stop


def passes_checkpoints_on(subject: Subject) -> None:
    """It passes each checkpoint on, in order, and only after receiving it."""
    dialogue = _passage(subject)
    for expected, said in enumerate(dialogue.record.checkpoints, 1):
        seq = cast(Checkpoint, said.message).seq
        if seq != expected:
            raise Violation(f"checkpoint {seq} arrived, expected {expected}")
        if seq > said.checkpoints_given:
            raise Violation(f"checkpoint {seq} arrived when it had received only {said.checkpoints_given}")


def counts_its_rows(subject: Subject) -> None:
    """The n of a checkpoint is the number of rows that it has written since the last one."""
    before = 0
    for said in _passage(subject).record.checkpoints:
        checkpoint = cast(Checkpoint, said.message)
        rows, before = said.rows_before - before, said.rows_before
        if checkpoint.n != rows:
            raise Violation(f"checkpoint {checkpoint.seq} has n = {checkpoint.n}, but {rows} rows arrived before it")


def ends_after_stop(subject: Subject) -> None:
    """After a stop and EOF, it writes an end line with its last checkpoint, and exits with 0."""
    with subject.running() as dialogue:
        _give(dialogue, 1, 2)
        dialogue.tell(Stop(int(subject.limits.drain_s * 1000)))
        dialogue.close_stdin()
        if not dialogue.exits(subject.limits.drain_s):
            raise Violation(f"it is still running {subject.limits.drain_s:g} s after the stop")
        dialogue.closes_stdout(subject.limits.exit_s)
        _check_rows(dialogue)
        if dialogue.exit_code != 0:
            raise Violation(f"it must exit with 0; {dialogue.ending()}")
        end = dialogue.record.end
        if end is None:
            raise Violation("it exited without an end line")
        if cast(End, end.message).seq != 1:
            raise Violation(f"its end line has seq = {cast(End, end.message).seq}, but its last checkpoint is 1")


def ends_only_after_stop(subject: Subject) -> None:
    """When stdin ends without a stop, it writes no end line."""
    with subject.running() as dialogue:
        _give(dialogue, 1, 2)
        dialogue.close_stdin()
        dialogue.exits(subject.limits.orphan_s)
        dialogue.closes_stdout(subject.limits.orphan_s)
        if dialogue.record.end is not None:
            raise Violation("it wrote an end line, so the host would take a part of the rows for all of them")


def _passage(subject: Subject) -> Dialogue:
    """Pass three checkpoints through, one without rows. Raises Violation if one does not arrive."""
    with subject.running() as dialogue:
        for seq, count in enumerate((3, 0, 2), 1):
            _give(dialogue, seq, count)
            if not dialogue.wait_for_checkpoint(seq - 1, subject.limits.rows_s):
                _check_rows(dialogue)
                raise Violation(f"checkpoint {seq} did not arrive; {dialogue.ending()}")
    return dialogue


def _check_rows(dialogue: Dialogue) -> None:
    """Raise NotObservable if it has refused the rows of the kit."""
    error = dialogue.record.error
    if error is not None and error.kind == "data":
        raise NotObservable(f"it refuses the rows of the kit: {error.message}")


def _give(dialogue: Dialogue, seq: int, count: int) -> None:
    dialogue.write(b"".join(row(seq * 1000 + number) for number in range(count)))
    dialogue.tell(Checkpoint(seq, count))

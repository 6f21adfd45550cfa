"""Checks for outputs: acks, their order and counts, and the exit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import msgspec

from dstream.kit.dialogue import Dialogue
from dstream.kit.subject import NotObservable, Subject, Violation
from dstream.protocol.messages import Ack, Checkpoint, Stop, TraceContext

LARGE_ROW_BYTES = 1024 * 1024
_TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"  # the example of W3C Trace Context, 3.2


def acknowledges_in_order(subject: Subject) -> None:
    """It acknowledges a checkpoint only after receiving it; acks increase, and the last one covers everything."""
    _check_capability(subject)
    dialogue, given = _delivery(subject)
    _check_order(dialogue, given)


def counts_settled_rows(subject: Subject) -> None:
    """The n of an ack is the number of rows settled since the previous ack."""
    _check_capability(subject)
    dialogue, given = _delivery(subject)
    covered = 0
    for said in dialogue.record.acks:
        ack = cast(Ack, said.message)
        if ack.n is msgspec.UNSET:
            raise Violation(f"ack {ack.seq} has no n")
        rows = sum(given[: ack.seq]) - sum(given[:covered])
        if ack.n != rows:
            raise Violation(f"ack {ack.seq} has n = {ack.n}, but {rows} rows arrived since checkpoint {covered}")
        if ack.rejected > rows:
            raise Violation(f"ack {ack.seq} rejects {ack.rejected} of {rows} rows")
        covered = ack.seq


def acknowledges_empty_checkpoints(subject: Subject) -> None:
    """It acknowledges checkpoints with n = 0, which an idle input sends, in order."""
    _check_capability(subject)
    with subject.running() as dialogue:
        _give(dialogue, 1, 0)
        _give(dialogue, 2, 0)
        if not _is_acknowledged(dialogue, 2, subject):
            raise Violation(f"no ack arrived within {subject.limits.rows_s:g} s; {_failure(dialogue)}")


def handles_a_large_row(subject: Subject) -> None:
    """It settles a row of 1 MiB or refuses it with an error of kind data, without hanging or crashing."""
    _check_capability(subject)
    with subject.running() as dialogue:
        dialogue.write(row(1, padding="x" * LARGE_ROW_BYTES))
        dialogue.tell(Checkpoint(1, 1))
        dialogue.wait_for(lambda record: record.acks or record.error, subject.limits.rows_s)
        error = dialogue.record.error
        if error is not None and error.kind != "data":
            raise Violation(f'the kind of its error is "{error.kind}"; it must be "data" ({error.message})')
        if error is None and not dialogue.record.acks:
            raise Violation(f"neither an ack nor an error arrived; {_failure(dialogue)}")


def drains_on_stop(subject: Subject) -> None:
    """After a stop and EOF, it finishes the rows it holds, acknowledges them, and exits with 0."""
    _check_capability(subject)
    with subject.running() as dialogue:
        _give(dialogue, 1, 3)
        dialogue.tell(Stop(int(subject.limits.drain_s * 1000)))
        dialogue.close_stdin()
        if not dialogue.exits(subject.limits.drain_s):
            raise Violation(f"it is still running {subject.limits.drain_s:g} s after the stop")
        dialogue.closes_stdout(subject.limits.exit_s)
        if dialogue.exit_code != 0:
            raise Violation(f"it must exit with 0; {_failure(dialogue)}")
        if not dialogue.record.acks:
            raise Violation("it exited without acknowledging what it received before the stop")


def acknowledges_only_checkpointed_rows(subject: Subject) -> None:
    """When stdin ends without a stop, it does not acknowledge rows after the last checkpoint."""
    _check_capability(subject)
    with subject.running() as dialogue:
        _give(dialogue, 1, 2)
        if not _is_acknowledged(dialogue, 1, subject):
            raise Violation(f"no ack arrived within {subject.limits.rows_s:g} s; {_failure(dialogue)}")
        dialogue.write(row(3) + row(4))
        dialogue.close_stdin()
        dialogue.exits(subject.limits.orphan_s)
        dialogue.closes_stdout(subject.limits.orphan_s)
        if len(dialogue.record.acks) > 1:
            raise Violation("it acknowledged rows after the last checkpoint")


def row(number: int, padding: str = "") -> bytes:
    """Return a change event in the format of the SQL Server input."""
    metadata = {
        "Id": f"kit-{number}",
        "TableName": "kit",
        "SchemaName": "dbo",
        "OperationType": "Insert",
        "IdempotencyKey": f"kit-{number}",
    }
    data = {"number": number, **({"padding": padding} if padding else {})}
    return msgspec.json.encode({"data": data, "metadata": metadata}) + b"\n"


def _delivery(subject: Subject) -> tuple[Dialogue, list[int]]:
    """Send rows in two checkpoints and an empty one; return the number of rows in each. A trace context counts as none
    of them."""
    given = [3, 2, 0]
    with subject.running() as dialogue:
        if "trace" in subject.capabilities:
            dialogue.tell(TraceContext(_TRACEPARENT))
        dialogue.write(b"".join(row(number) for number in range(1, given[0] + 1)))
        dialogue.wait_for(lambda record: record.acks, subject.limits.watch_s)
        dialogue.tell(Checkpoint(1, given[0]))
        for seq, count in enumerate(given[1:], start=2):
            _give(dialogue, seq, count)
        _is_acknowledged(dialogue, len(given), subject)
    return dialogue, given


def _give(dialogue: Dialogue, seq: int, count: int) -> None:
    dialogue.write(b"".join(row(seq * 1000 + number) for number in range(count)))
    dialogue.tell(Checkpoint(seq, count))


def _is_acknowledged(dialogue: Dialogue, seq: int, subject: Subject) -> bool:
    def reached(seqs: Iterator[int]) -> bool:
        return max(seqs, default=0) >= seq

    return dialogue.wait_for(
        lambda record: reached(cast(Ack, each.message).seq for each in record.acks), subject.limits.rows_s
    )


def _check_order(dialogue: Dialogue, given: list[int]) -> None:
    last = 0
    for said in dialogue.record.acks:
        seq = cast(Ack, said.message).seq
        if seq > said.checkpoints_given:
            raise Violation(f"ack {seq} arrived when it had received only checkpoint {said.checkpoints_given}")
        if seq <= last:
            raise Violation(f"ack {seq} arrived after ack {last}")
        last = seq
    if last < len(given):
        raise Violation(f"checkpoint {last + 1} was not acknowledged; {_failure(dialogue)}")


def _failure(dialogue: Dialogue) -> str:
    error = dialogue.record.error
    return f"it failed: {error.message}" if error else dialogue.ending()


def _check_capability(subject: Subject) -> None:
    if "ack" not in subject.capabilities:
        raise NotObservable("it has no capability ack")

"""One span covers the rows of at least 100 ms, from the first row that is read to the ack that covers the last."""

from __future__ import annotations

import json

import pytest

from dstream.host import TracedRows
from dstream.host.run.tracing import LEAST_S, RowTraces
from dstream.protocol.messages import Ack, Checkpoint

ROW_BYTES = 50


class Recorder:
    """A tracer and its clocks; `ended` are the spans in the order of their ends."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.begun = 0
        self.ended: list[tuple[int, TracedRows]] = []
        self.traces = RowTraces(self, lambda: self.now_s, lambda: round(self.now_s * 1e9))

    def begin(self) -> RecordedSpan:
        self.begun += 1
        return RecordedSpan(self, self.begun)

    def rows(self, count: int) -> str:
        """Relay rows; return the context that is written before them, "" for none."""
        line = self.traces.relayed(count, count * ROW_BYTES)
        return str(json.loads(line)["traceparent"]) if line else ""

    @property
    def figures(self) -> list[tuple[int, int, int, int]]:
        return [(each.rows, each.size, each.first_checkpoint, each.last_checkpoint) for _, each in self.ended]


class RecordedSpan:
    def __init__(self, recorder: Recorder, number: int) -> None:
        self._recorder = recorder
        self._number = number
        self.traceparent = f"00-{number:032x}-{number:016x}-01"

    def end(self, traced: TracedRows) -> None:
        self._recorder.ended.append((self._number, traced))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def test_the_context_is_written_before_the_first_rows_of_a_span_only(recorder: Recorder) -> None:
    assert recorder.rows(3) == f"00-{1:032x}-{1:016x}-01"
    assert recorder.rows(2) == ""
    recorder.traces.opened(Checkpoint(1, 5))
    assert recorder.rows(1) == ""
    recorder.traces.opened(Checkpoint(2, 1))
    recorder.now_s = LEAST_S
    assert recorder.rows(1) == f"00-{2:032x}-{2:016x}-01"


def test_a_span_ends_at_the_ack_that_covers_its_last_row(recorder: Recorder) -> None:
    recorder.rows(3)
    recorder.now_s = 1.0
    recorder.traces.opened(Checkpoint(1, 3))
    recorder.now_s = 2.5
    recorder.traces.acknowledged(Ack(1, 3, rejected=1))
    assert recorder.ended == [(1, TracedRows(3, 3 * ROW_BYTES, 1, 1, 1, 1_000_000_000, 2_500_000_000))]


def test_a_young_span_takes_more_rows_after_its_ack_and_ends_at_the_last_one(recorder: Recorder) -> None:
    recorder.rows(3)
    recorder.traces.opened(Checkpoint(1, 3))
    recorder.traces.acknowledged(Ack(1, 3))
    assert recorder.ended == []
    recorder.now_s = 0.05
    recorder.rows(4)
    recorder.traces.opened(Checkpoint(2, 4))
    recorder.traces.acknowledged(Ack(2, 4))
    recorder.now_s = LEAST_S
    recorder.traces.end_settled()
    assert recorder.figures == [(7, 7 * ROW_BYTES, 1, 2)]
    assert recorder.ended[0][1].settled_ns == 50_000_000


def test_spans_cover_every_row_once_however_checkpoints_and_acks_arrive(recorder: Recorder) -> None:
    for seq in range(1, 301):
        recorder.rows(2)
        recorder.now_s += 0.01
        recorder.rows(1)
        recorder.traces.opened(Checkpoint(seq, 3))
        if seq % 7 == 0:
            recorder.traces.acknowledged(Ack(seq, 21))
    recorder.traces.acknowledged(Ack(300, 18))
    recorder.now_s += 1
    recorder.traces.end_settled()
    assert sum(rows for rows, *_ in recorder.figures) == 900
    assert [number for number, _ in recorder.ended] == list(range(1, recorder.begun + 1))
    assert [last for *_, last in recorder.figures[:-1]] == [first - 1 for _, _, first, _ in recorder.figures[1:]]
    assert recorder.begun <= 3.0 / LEAST_S + 1, "not more spans with more rows"


def test_a_checkpoint_without_rows_belongs_to_no_span(recorder: Recorder) -> None:
    recorder.traces.opened(Checkpoint(1, 0))
    recorder.rows(2)
    recorder.traces.opened(Checkpoint(2, 2))
    recorder.traces.opened(Checkpoint(3, 0))
    recorder.now_s = 1.0
    recorder.traces.acknowledged(Ack(2, 2))
    assert recorder.figures == [(2, 2 * ROW_BYTES, 2, 2)]


def test_a_long_transaction_is_one_span_although_it_takes_longer(recorder: Recorder) -> None:
    for _ in range(10):
        recorder.rows(5)
        recorder.now_s += 1
    assert recorder.begun == 1


def test_rows_that_were_never_acknowledged_end_unsettled(recorder: Recorder) -> None:
    recorder.rows(3)
    recorder.traces.opened(Checkpoint(1, 3))
    recorder.traces.acknowledged(Ack(1, 3))
    recorder.rows(2)
    recorder.traces.close()
    assert recorder.figures == [(5, 5 * ROW_BYTES, 1, 1)]
    assert recorder.ended[0][1].settled_ns is None

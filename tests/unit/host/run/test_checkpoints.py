"""Checkpoints are stored before they are acknowledged, one write at a time; the newest state wins."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import msgspec
import pytest

from dstream.errors import SystemFault
from dstream.host.run import checkpoints
from dstream.host.run.checkpoints import Checkpoints
from dstream.host.run.ledger import Settled
from dstream.protocol.messages import Ack, Checkpoint, End

WAIT_S = 60.0


class Disk:
    """A store whose writes finish when the test allows it. Records the order of all events."""

    def __init__(self) -> None:
        self.happened: list[tuple[str, int]] = []
        self.writing: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.acknowledged: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.failures: queue.SimpleQueue[Exception] = queue.SimpleQueue()
        self.may_end = threading.Semaphore(0)
        self.error: Exception | None = None
        self.checkpoints = Checkpoints(self._store, self._stored, self.failures.put)
        for seq in range(1, 6):
            self.checkpoints.relayed(10, 100)
            self.checkpoints.opened(Checkpoint(seq, 10, msgspec.Raw(b"{}")))
        self.checkpoints.start()

    def _store(self, settled: Settled) -> bool:
        self.happened.append(("writing", settled.seq))
        self.writing.put(settled.seq)
        assert self.may_end.acquire(timeout=WAIT_S)
        if self.error is not None:
            raise self.error
        self.happened.append(("written", settled.seq))
        return True

    def _stored(self, settled: Settled) -> None:
        self.happened.append(("acknowledged", settled.seq))
        self.acknowledged.put(settled.seq)


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    for _ in range(10):
        disk.may_end.release()
    disk.checkpoints.finish()


def test_a_checkpoint_is_acknowledged_only_after_it_is_on_disk(disk: Disk) -> None:
    disk.checkpoints.acknowledged(Ack(1, 10))
    assert disk.writing.get(timeout=WAIT_S) == 1
    assert disk.acknowledged.empty()
    assert disk.checkpoints.counts.last_stored == 0
    disk.may_end.release()
    assert disk.acknowledged.get(timeout=WAIT_S) == 1
    assert disk.happened == [("writing", 1), ("written", 1), ("acknowledged", 1)]
    assert disk.checkpoints.counts.last_stored == 1


def test_acks_during_a_write_are_covered_by_the_next_one(disk: Disk) -> None:
    for seq in (1, 2, 3):
        disk.checkpoints.acknowledged(Ack(seq, 10))
        if seq == 1:
            assert disk.writing.get(timeout=WAIT_S) == 1
    disk.may_end.release()
    disk.may_end.release()
    assert [disk.acknowledged.get(timeout=WAIT_S) for _ in range(2)] == [1, 3]
    assert disk.checkpoints.counts.stored == 2
    assert disk.checkpoints.counts.store_s > 0


@pytest.mark.parametrize("error", [SystemFault("state.write_failed", "disk full"), KeyError("a bug")])
def test_a_failed_write_is_told_and_acknowledges_nothing(disk: Disk, error: Exception) -> None:
    disk.error = error
    disk.checkpoints.acknowledged(Ack(2, 20))
    disk.may_end.release()
    assert disk.failures.get(timeout=WAIT_S) is error
    disk.checkpoints.finish()
    assert disk.acknowledged.empty()


def test_finish_stores_what_is_settled_and_nothing_else(disk: Disk) -> None:
    disk.checkpoints.acknowledged(Ack(4, 40))
    disk.may_end.release()
    disk.checkpoints.finish()
    assert disk.happened == [("writing", 4), ("written", 4), ("acknowledged", 4)]


def test_an_urgent_end_does_not_wait_for_a_write(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "URGENT_S", 0.0)
    disk.checkpoints.acknowledged(Ack(1, 10))
    assert disk.writing.get(timeout=WAIT_S) == 1
    disk.checkpoints.finish(lambda: True)
    assert disk.checkpoints.is_alive()


def test_complete_means_ended_and_stored(disk: Disk) -> None:
    disk.checkpoints.acknowledged(Ack(5, 50))
    disk.may_end.release()
    assert disk.acknowledged.get(timeout=WAIT_S) == 5
    assert not disk.checkpoints.is_complete
    disk.checkpoints.ended(End(5))
    assert disk.checkpoints.is_complete


def test_an_input_over_the_limit_waits_for_room(disk: Disk) -> None:
    assert not disk.checkpoints.wait_for_room(4, timeout_s=0.01)
    disk.checkpoints.acknowledged(Ack(1, 10))
    assert disk.checkpoints.wait_for_room(4, timeout_s=WAIT_S)

"""Only so many pairs of providers start at the same time, whatever happens to a start."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dstream.host.run import start_slots
from dstream.host.run.start_slots import StartSlot


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch) -> Iterator[StartSlot]:
    """The only slot, taken."""
    monkeypatch.setattr(start_slots, "_slots", threading.BoundedSemaphore(1))
    slot = StartSlot()
    assert slot.take(lambda: False)
    yield slot
    slot.free()


def test_a_start_waits_until_another_one_frees_its_slot(first: StartSlot) -> None:
    second, looks = StartSlot(), 0

    def is_stopped() -> bool:
        nonlocal looks
        looks += 1
        if looks == 3:
            first.free()
        return False

    assert second.take(is_stopped)
    assert looks == 3
    second.free()


def test_a_stop_request_ends_the_wait_and_frees_nothing(first: StartSlot) -> None:
    second, answers = StartSlot(), iter([False, True])
    assert not second.take(lambda: next(answers))
    second.free()
    answers = iter([False, True])
    assert not StartSlot().take(lambda: next(answers))

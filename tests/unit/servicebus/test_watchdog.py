from __future__ import annotations

import threading

import pytest
from dstream_servicebus.publish import watchdog
from dstream_servicebus.publish.watchdog import Watchdog

WAIT_S = 60.0


def test_a_call_that_takes_too_long_is_aborted() -> None:
    aborted = threading.Event()
    dog = Watchdog(lambda: None)

    with dog.limit(0.05, aborted.set):
        assert aborted.wait(WAIT_S)

    dog.close()


def test_a_call_that_ends_in_time_is_not_aborted() -> None:
    aborted, later = threading.Event(), threading.Event()
    dog = Watchdog(lambda: None)

    with dog.limit(0.05, aborted.set):
        pass
    with dog.limit(0.1, later.set):
        assert later.wait(WAIT_S)

    assert not aborted.is_set()
    dog.close()


def test_a_short_limit_applies_while_a_long_one_runs() -> None:
    aborted = threading.Event()
    dog = Watchdog(lambda: None)

    with dog.limit(60, lambda: None), dog.limit(0.05, aborted.set):
        assert aborted.wait(WAIT_S)

    dog.close()


def test_a_call_that_outlives_its_abort_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "STUCK_AFTER_S", 0.05)
    stuck = threading.Event()
    dog = Watchdog(stuck.set)

    with dog.limit(0.05, lambda: None):
        assert stuck.wait(WAIT_S)

    dog.close()


def test_an_abort_that_blocks_does_not_stop_the_others() -> None:
    release, aborted = threading.Event(), threading.Event()
    dog = Watchdog(lambda: None)

    with dog.limit(0.02, release.wait), dog.limit(0.06, aborted.set):
        assert aborted.wait(WAIT_S)

    release.set()
    dog.close()

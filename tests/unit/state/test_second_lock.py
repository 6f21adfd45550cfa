"""A task that is locked twice is run by whoever has both locks."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dstream.errors import LockedError
from dstream.state import FileStore, SecondLock, StateLocation
from dstream.state._second_lock import TwiceLockedStore

SINCE = datetime(2026, 11, 25, 9, 12, 0, tzinfo=UTC)


def test_a_task_whose_second_lock_is_held_is_locked_and_its_first_lock_is_given_back(tmp_path: Path) -> None:
    own, shared = FileStore(tmp_path / "own", "dev", "orders"), FileStore(tmp_path / "shared", "dev", "orders")
    store = TwiceLockedStore(own, shared)
    with shared.lease(SINCE):
        with pytest.raises(LockedError), store.lease(SINCE):
            pass
        assert own.holder() is None
        assert store.holder() == shared.holder() is not None
    with store.lease(SINCE) as lease:
        assert lease.is_held
        lease.check()
        for each in (own, shared):
            with pytest.raises(LockedError), each.lease(SINCE):
                pass
    assert store.holder() is None


def test_the_key_of_the_lock_is_a_secret() -> None:
    location = StateLocation("dev", Path(), second_lock=SecondLock("AccountName=a;AccountKey=c2VjcmV0==;", "locks"))
    assert location.secrets == {"c2VjcmV0=="}
    assert "c2VjcmV0" not in repr(location)

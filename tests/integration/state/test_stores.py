"""What every state backend promises: one suite, run on each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import msgspec
import pytest

from dstream.errors import LockedError
from dstream.state import StateLocation, StateStore, StoredState, has_checkpoint, open_store, stored_tasks

RAW = b'{"pos":"0000002a:00000180:0022","big":12345678901234567890}'
SINCE = datetime(2026, 11, 25, 9, 12, 0, tzinfo=UTC)


def checkpoint(seq: int, raw: bytes = RAW, task: str = "orders") -> StoredState:
    return StoredState(
        task=task,
        input="mssql_cdc",
        output="servicebus",
        seq=seq,
        stored_at=f"2026-11-25T10:00:{seq:02}.000Z",
        run_id="r1",
        state=msgspec.Raw(raw),
    )


@pytest.fixture
def store(location: StateLocation) -> Iterator[StateStore]:
    with closing(open_store(location, "orders")) as store:
        yield store


def seen(store: StateStore) -> int | None:
    """The sequence number of the stored checkpoint."""
    stored = store.load()
    return None if stored is None else stored.seq


def test_a_task_that_never_ran_has_no_checkpoint(store: StateStore, location: StateLocation) -> None:
    assert store.load() is None
    assert not has_checkpoint(store)
    assert store.history() == []
    assert store.holder() is None
    with store.lease(SINCE):
        assert store.load() is None
    assert stored_tasks(location) == set()


def test_another_process_loads_byte_for_byte_what_was_saved(store: StateStore, location: StateLocation) -> None:
    with store.lease(SINCE) as lease:
        store.save(checkpoint(7), lease)
        store.save(checkpoint(8), lease)
    with closing(open_store(location, "orders")) as other:
        loaded = other.load()
    assert loaded is not None
    assert bytes(loaded.state) == RAW
    assert msgspec.structs.replace(loaded, state=checkpoint(8).state) == checkpoint(8)


def test_a_large_state_survives(store: StateStore) -> None:
    raw = b'{"tables":"' + b"x" * 3_000_000 + b'"}'
    with store.lease(SINCE) as lease:
        store.save(checkpoint(1, raw), lease)
    loaded = store.load()
    assert loaded is not None
    assert bytes(loaded.state) == raw


def test_names_do_not_collide(location: StateLocation) -> None:
    names = ["orders", "Orders", "a/b", "a", "orders ", "\u00fcber", "orders.history", "%41"]
    for seq, name in enumerate(names):
        with closing(open_store(location, name)) as store, store.lease(SINCE) as lease:
            store.save(checkpoint(seq, task=name), lease)
    for seq, name in enumerate(names):
        with closing(open_store(location, name)) as store:
            assert seen(store) == seq
    assert stored_tasks(location) == set(names)


def test_the_first_checkpoint_of_a_run_is_kept_and_at_most_one_per_minute(
    store: StateStore, location: StateLocation
) -> None:
    with store.lease(SINCE) as lease:
        for seq in (1, 2, 3):
            store.save(checkpoint(seq), lease)
    with closing(open_store(location, "orders")) as later, later.lease(SINCE) as lease:
        later.save(checkpoint(4), lease)
    assert [each.seq for each in store.history()] == [4, 1]


def test_only_the_newest_kept_checkpoints_remain(store: StateStore) -> None:
    with store.lease(SINCE) as lease:
        for seq in (5, 1, 4, 2, 3, 3):
            store.keep(checkpoint(seq), lease)
    assert [each.seq for each in store.history()] == [5, 4, 3]
    assert store.load() is None


def test_a_removed_checkpoint_stays_in_the_history(store: StateStore, location: StateLocation) -> None:
    with store.lease(SINCE) as lease:
        store.save(checkpoint(1), lease)
        assert store.remove(lease)
        assert store.load() is None
        assert not store.remove(lease)
        assert stored_tasks(location) == set()
        assert [each.seq for each in store.history()] == [1]
        store.save(checkpoint(2), lease)
    assert seen(store) == 2


def test_a_task_has_one_holder_at_a_time(store: StateStore, location: StateLocation) -> None:
    with closing(open_store(location, "orders")) as other, closing(open_store(location, "sales")) as sales:
        with store.lease(SINCE, "init") as lease:
            assert lease.is_held
            lease.check()
            with (
                pytest.raises(LockedError, match=r"dstream init.* since 2026-11-25T09:12:00Z") as caught,
                other.lease(SINCE),
            ):
                pass
            assert caught.value.code == "state.locked"
            holder = other.holder()
            assert holder is not None
            assert holder.command == "init"
            with sales.lease(SINCE):
                pass
        assert other.holder() is None
        with other.lease(SINCE) as lease:
            other.save(checkpoint(9), lease)
    assert seen(store) == 9

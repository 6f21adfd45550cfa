"""A holder whose lease another process has taken can write nothing more: on every network backend."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pyodbc
import pytest
from azure.core.exceptions import HttpResponseError

from dstream.errors import AuthError, ConfigError, LockedError, UnreachableError
from dstream.odbc import find_driver
from dstream.state import Lease, StateBackend, StateLocation, StateStore, _blob, open_store
from dstream.state._blob import BlobLeaseClient, BlobStore, container_client
from dstream.state._lease import RenewedLease
from dstream.state._sql import SqlStore
from tests.integration.state.test_stores import SINCE, checkpoint, seen
from tests.running import wait_until

NETWORK: list[StateBackend] = ["azblob", "postgres", "mssql"]


@pytest.fixture(params=NETWORK)
def location(request: pytest.FixtureRequest, location_on: Callable[[StateBackend], StateLocation]) -> StateLocation:
    return location_on(request.param)


@pytest.fixture
def stores(location: StateLocation) -> Iterator[tuple[StateStore, StateStore]]:
    """The stores of two hosts."""
    with closing(open_store(location, "orders")) as one, closing(open_store(location, "orders")) as other:
        yield one, other


def expire(location: StateLocation) -> None:
    """Let the lease of the task expire now."""
    if location.backend == "azblob":
        with container_client(location.url) as container:
            blob = container.get_blob_client(f"{location.stack}/orders.json")
            BlobLeaseClient(blob).break_lease(lease_break_period=0)
    elif location.backend == "mssql":
        with closing(pyodbc.connect(f"DRIVER={find_driver()};{location.url}", autocommit=True)) as server:
            statement = "UPDATE dstream_state SET expires = DATEADD(second, -1, SYSUTCDATETIME()) WHERE stack = ?"
            server.execute(statement, location.stack)
    else:
        with psycopg.connect(location.url) as connection:
            statement = "UPDATE dstream_state SET expires = now() - interval '1 s' WHERE stack = %s"
            connection.execute(statement, [location.stack])


def test_a_late_write_of_an_earlier_holder_is_refused(
    stores: tuple[StateStore, StateStore], location: StateLocation
) -> None:
    late, current = stores
    with late.lease(SINCE) as old:
        late.save(checkpoint(1), old)
        expire(location)
        with current.lease(datetime(2026, 11, 25, 9, 30, tzinfo=UTC), "run") as new:
            for write in (
                lambda: late.save(checkpoint(2), old),
                lambda: late.remove(old),
                lambda: late.save(checkpoint(3), old),
            ):
                with pytest.raises(LockedError, match=r"was taken by .* since 2026-11-25T09:30:00Z") as caught:
                    write()
                assert caught.value.code == "state.lease_lost"
            assert seen(current) == 1
            current.save(checkpoint(4), new)
            with pytest.raises(LockedError):
                late.save(checkpoint(2), old)
            wait_until_noticed(old)
        assert seen(current) == 4


def wait_until_noticed(old: Lease) -> None:
    """Wait until the old holder knows that its lease is lost. It asks at once, as if its time were up."""

    def is_lost() -> bool:
        try:
            old.check()
        except LockedError:
            return True
        return False

    assert isinstance(old, RenewedLease)
    old._proven_until_s = 0.0
    wait_until(is_lost, "the old holder to notice")


def test_the_history_of_a_lost_lease_is_not_changed(
    stores: tuple[StateStore, StateStore], location: StateLocation
) -> None:
    late, current = stores
    with late.lease(SINCE) as old:
        expire(location)
        with current.lease(SINCE) as new:
            current.keep(checkpoint(5), new)
            wait_until_noticed(old)
            with pytest.raises(LockedError):
                late.keep(checkpoint(6), old)
    assert [each.seq for each in current.history()] == [5]


def test_a_holder_continues_after_its_lease_expired_if_nobody_took_it(
    location_on: Callable[[StateBackend], StateLocation],
) -> None:
    location = location_on("postgres")
    with closing(open_store(location, "orders")) as store, store.lease(SINCE) as lease:
        store.save(checkpoint(1), lease)
        expire(location)
        store.save(checkpoint(2), lease)
        assert seen(store) == 2


def test_a_delayed_write_of_the_same_holder_does_not_replace_a_newer_one(
    location_on: Callable[[StateBackend], StateLocation],
) -> None:
    """Two writes on the way at the same time, as after a lost answer: the ETag keeps the older one out."""
    with closing(open_store(location_on("azblob"), "orders")) as store, store.lease(SINCE) as lease:
        assert isinstance(store, BlobStore)
        store.save(checkpoint(1), lease)
        delayed_etag = store._etag
        store.save(checkpoint(2), lease)
        newest_etag, store._etag = store._etag, delayed_etag
        with pytest.raises(HttpResponseError) as caught:
            store._upload(b"delayed", lease.fence)
        assert caught.value.status_code == 412
        assert seen(store) == 2
        store._etag = delayed_etag  # the holder never saw the answer to its last write
        store.save(checkpoint(3), lease)
        assert seen(store) == 3
        assert store._etag != newest_etag


@pytest.mark.parametrize(
    ("backend", "change", "kind", "code"),
    [
        ("azblob", lambda url: f"{url}-missing", ConfigError, "state.no_backend"),
        ("azblob", lambda url: url.removeprefix("http://"), ConfigError, "state.bad_url"),
        ("azblob", lambda _: "http://127.0.0.1:1/devstoreaccount1/c", UnreachableError, "state.unavailable"),
        ("azblob", lambda url: f"{url}?sv=2021-12-02&sr=c&sp=rw&sig=AAAA", AuthError, "state.denied"),
        ("azblob", lambda _: "", ConfigError, "state.no_url"),
        ("postgres", lambda url: url.replace("/postgres?", "/missing?"), ConfigError, "state.no_backend"),
        ("postgres", lambda _: "postgresql://u:hunter2@127.0.0.1:1/d", UnreachableError, "state.unavailable"),
        ("mssql", lambda _: "Server=127.0.0.1,1;UID=u;PWD=hunter2", UnreachableError, "state.unavailable"),
        ("mssql", lambda url: url.replace("Database=checkpoints", "Database=x"), ConfigError, "state.no_backend"),
        ("mssql", lambda url: re.sub("PWD=[^;]+", "PWD=hunter2", url), AuthError, "state.denied"),
        ("mssql", lambda _: "postgresql://u:hunter2@h/d", ConfigError, "state.bad_url"),
        ("postgres", lambda _: "Server=x;Pwd=hunter2", ConfigError, "state.bad_url"),
    ],
)
def test_settings_that_cannot_work_are_named_without_credentials(
    backend: StateBackend,
    change: Callable[[str], str],
    kind: type[Exception],
    code: str,
    location_on: Callable[[StateBackend], StateLocation],
) -> None:
    location = location_on(backend)
    wrong = StateLocation("dev", location.folder, backend, url=change(location.url))
    with pytest.raises(kind) as caught, closing(open_store(wrong, "orders")) as store, store.lease(SINCE):
        pass
    assert getattr(caught.value, "code", "") == code
    assert getattr(caught.value, "hint", "")
    assert not any(secret in f"{caught.value} {wrong!r}" for secret in ("hunter2", "AAAA"))


def dropped(location: StateLocation) -> None:
    tables = "DROP TABLE dstream_state; DROP TABLE dstream_state_history;"
    if location.backend == "mssql":
        with closing(pyodbc.connect(f"DRIVER={find_driver()};{location.url}", autocommit=True)) as server:
            server.execute(tables)
    else:
        with psycopg.connect(location.url) as connection:
            connection.execute(tables)


@pytest.mark.parametrize("backend", ["postgres", "mssql"])
def test_the_holder_of_dropped_tables_can_write_no_more_and_says_why(
    backend: StateBackend, location_on: Callable[[StateBackend], StateLocation]
) -> None:
    """Also once another host has created them again: the numbers of its fences are new."""
    location = location_on(backend)
    with closing(open_store(location, "orders")) as late, closing(open_store(location, "orders")) as current:
        with late.lease(SINCE) as old:
            late.save(checkpoint(1), old)
            dropped(location)
            for write in (late.save, late.keep):
                with pytest.raises(ConfigError, match=r"^the tables dstream_state and .* are gone") as caught:
                    write(checkpoint(2), old)
                assert caught.value.code == "state.no_backend"
                assert caught.value.hint
            with current.lease(SINCE) as new:
                with pytest.raises(LockedError):
                    late.save(checkpoint(2), old)
                assert isinstance(late, SqlStore)
                assert not late.renew(old.fence)
                assert seen(current) is None
                current.save(checkpoint(3), new)
        assert seen(current) == 3


def test_a_host_that_waits_for_the_lease_only_reads(
    stores: tuple[StateStore, StateStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks every second: no request is refused, and no row is touched."""
    holder, waiting = stores
    with holder.lease(SINCE, "run"), monkeypatch.context() as patch:
        if isinstance(waiting, SqlStore):
            patch.setattr(waiting, "_dialect", replace(waiting._dialect, acquire=["not SQL"]))
        else:
            patch.setattr(_blob, "BlobLeaseClient", None)
        with pytest.raises(LockedError, match="dstream run"), waiting.lease(SINCE):
            pass


def test_a_user_who_may_not_create_tables_can_use_those_that_exist(
    location_on: Callable[[StateBackend], StateLocation],
) -> None:
    location = location_on("postgres")
    with closing(open_store(location, "orders")) as store, store.lease(SINCE):
        pass
    user = f"app_{location.stack}"
    with psycopg.connect(location.url, autocommit=True) as connection:
        for statement in (
            f"CREATE ROLE {user} LOGIN",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
            f"GRANT SELECT, INSERT, UPDATE ON dstream_state TO {user}",
            f"GRANT SELECT, INSERT, DELETE ON dstream_state_history TO {user}",
        ):
            connection.execute(statement)
    limited = replace(location, url=psycopg.conninfo.make_conninfo(location.url, user=user))
    with closing(open_store(limited, "orders")) as store, store.lease(SINCE) as lease:
        store.save(checkpoint(7), lease)
        assert seen(store) == 7
        assert [each.seq for each in store.history()] == [7]

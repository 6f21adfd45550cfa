"""sp_getapplock and sp_releaseapplock with session owners."""

from __future__ import annotations

from collections.abc import Callable

from tests.integration.sandbox_engine.client import Client


def get(client: Client, resource: str, mode: str) -> object:
    return client.value(f"DECLARE @r int; EXEC @r = sp_getapplock '{resource}', '{mode}', 'Session', 0; SELECT @r")


def release(client: Client, resource: str) -> object:
    return client.value(f"DECLARE @r int; EXEC @r = sp_releaseapplock '{resource}', 'Session'; SELECT @r")


def test_an_exclusive_lock_waits_for_shared_ones_of_other_sessions(open_client: Callable[[], Client]) -> None:
    one, other = open_client(), open_client()
    assert (get(one, "a", "Shared"), get(other, "a", "Shared")) == (0, 0)
    assert get(one, "a", "Exclusive") == -1
    assert get(one, "A", "Exclusive") == 0
    assert release(other, "a") == 0
    assert release(other, "a") == -999
    assert get(one, "a", "Exclusive") == 0
    assert get(other, "a", "Shared") == -1
    one.close()
    assert get(other, "a", "Exclusive") == 0

"""The delay before a crashed server is restarted."""

from __future__ import annotations

from itertools import pairwise

from dstream_sandbox.server_process import restart_delay_s


def test_a_server_that_ran_for_long_is_restarted_immediately() -> None:
    assert restart_delay_s(0) == 0


def test_each_quick_crash_doubles_the_delay_up_to_30_s() -> None:
    delays = [restart_delay_s(crashes) for crashes in range(1, 100)]
    assert delays[:4] == [0.25, 0.5, 1.0, 2.0]
    assert all(earlier <= later for earlier, later in pairwise(delays))
    assert max(delays) == 30.0

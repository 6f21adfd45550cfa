"""How soon a server that died is started again."""

from __future__ import annotations

from itertools import pairwise

from dstream_sandbox.server_process import restart_delay_s


def test_a_server_that_lived_long_is_started_again_at_once() -> None:
    assert restart_delay_s(0) == 0


def test_each_short_life_doubles_the_pause_up_to_half_a_minute() -> None:
    delays = [restart_delay_s(lives) for lives in range(1, 100)]
    assert delays[:4] == [0.25, 0.5, 1.0, 2.0]
    assert all(earlier <= later for earlier, later in pairwise(delays))
    assert max(delays) == 30.0

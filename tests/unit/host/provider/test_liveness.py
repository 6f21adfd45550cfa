"""Silence counts only while the host is waiting to read."""

from dstream.host.provider.liveness import Liveness


def test_a_busy_reader_counts_no_silence() -> None:
    liveness = Liveness()
    assert liveness.silent_s(1000.0) == 0.0
    liveness.waits(10.0)
    liveness.heard()
    assert liveness.silent_s(1000.0) == 0.0


def test_silence_is_the_time_since_the_reader_started_waiting() -> None:
    liveness = Liveness()
    liveness.waits(10.0)
    assert liveness.silent_s(70.5) == 60.5
    assert liveness.silent_s(9.0) == 0.0


def test_silence_is_counted_from_the_end_of_a_pause_of_the_host() -> None:
    liveness = Liveness()
    liveness.resumed(5.0)
    assert liveness.silent_s(100.0) == 0.0
    liveness.waits(10.0)
    liveness.resumed(300.0)
    assert liveness.silent_s(310.0) == 10.0

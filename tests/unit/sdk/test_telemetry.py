"""Heartbeats: the phase, its reason and the lag, when they are due."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dstream.sdk import Telemetry


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sent() -> list[bytes]:
    return []


@pytest.fixture
def telemetry(clock: Clock, sent: list[bytes]) -> Telemetry:
    return Telemetry(sent.append, clock)


def beat(telemetry: Telemetry, sent: list[bytes]) -> dict[str, Any]:
    telemetry.beat()
    message: dict[str, Any] = msgspec.json.decode(sent[-1])
    del message["dstream"]
    return message


def test_a_change_of_phase_is_news_until_it_is_sent(telemetry: Telemetry, sent: list[bytes]) -> None:
    assert not telemetry.has_news()
    telemetry.phase("reconnecting", reason="db1: connection refused")
    assert telemetry.has_news()
    assert beat(telemetry, sent) == {"phase": "reconnecting", "reason": "db1: connection refused"}
    telemetry.phase("reconnecting", reason="db1: connection refused")
    assert not telemetry.has_news()
    telemetry.phase("idle", 0)
    assert telemetry.has_news()


def test_the_largest_lag_since_the_last_heartbeat_is_sent(telemetry: Telemetry, sent: list[bytes]) -> None:
    telemetry.phase("stream", 900)
    telemetry.phase("idle", 0)
    assert beat(telemetry, sent) == {"phase": "idle", "lag_ms": 900}
    assert telemetry.has_news()
    assert beat(telemetry, sent) == {"phase": "idle", "lag_ms": 0}
    assert not telemetry.has_news()


def test_the_lag_grows_while_the_input_reconnects(telemetry: Telemetry, sent: list[bytes], clock: Clock) -> None:
    telemetry.phase("idle", 0)
    clock.now_s += 2
    telemetry.phase("reconnecting")
    assert beat(telemetry, sent) == {"phase": "reconnecting", "lag_ms": 2000}
    clock.now_s += 10
    assert not telemetry.has_news()  # the host lets it grow in between
    assert beat(telemetry, sent) == {"phase": "reconnecting", "lag_ms": 12_000}
    telemetry.phase("idle", 0)
    assert beat(telemetry, sent) == {"phase": "idle", "lag_ms": 0}


def test_a_call_that_is_not_answered_counts_as_a_lost_connection(
    telemetry: Telemetry, sent: list[bytes], clock: Clock
) -> None:
    telemetry.phase("idle", 0)
    beat(telemetry, sent)
    with telemetry.awaiting("db1"):
        clock.now_s += 9
        assert not telemetry.has_news()
        clock.now_s += 2
        assert telemetry.has_news()
        assert beat(telemetry, sent) == {"phase": "reconnecting", "lag_ms": 11_000, "reason": "db1 does not respond"}
        clock.now_s += 10
        assert not telemetry.has_news()
    assert telemetry.has_news()
    assert beat(telemetry, sent) == {"phase": "idle", "lag_ms": 0}

"""A standby waits for the lease, also while the state backend is away."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest

from dstream.errors import LockedError, UnreachableError
from dstream.host import StopRequest
from dstream.host.run import standby

LOCKED = LockedError("state.locked", "held by another host")
AWAY = UnreachableError("state.unavailable", "the backend is away")


class Store:
    place = "elsewhere"

    def __init__(self, *answers: Any) -> None:
        self._answers = iter(answers)

    def lease(self, since: datetime) -> Any:
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return nullcontext(answer)

    def holder(self) -> Any:
        raise AWAY


def test_a_backend_that_is_away_meanwhile_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby, "_POLL_S", 0.0)
    job, report = Mock(is_look=False, standby=True), Mock()
    store: Any = Store(LOCKED, AWAY, LOCKED, "the lease")
    with standby.leased(job, store, report, StopRequest(), lambda: datetime.now(UTC)) as lease:
        assert lease == "the lease"

"""The server's clock. Its time zone is UTC."""

from __future__ import annotations

import time

from dstream_sandbox.sqlserver.engine.types.dates import EPOCH_1900
from dstream_sandbox.sqlserver.values import TICKS_PER_DAY

_UNIX = (EPOCH_1900 + 25567) * TICKS_PER_DAY


def now_ticks() -> int:
    """Return the time in 100 ns ticks since 0001-01-01T00:00."""
    return _UNIX + time.time_ns() // 100

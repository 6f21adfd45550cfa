"""The same as `infrastructure`, in mode `entities`: without Azure Resource Manager."""

from __future__ import annotations

from tests.bench.infrastructure import of_mode
from tests.bench.measure import Result


def run() -> Result:
    """Create, plan, check and destroy 200 queues through the administration API."""
    return of_mode("entities", 200)

"""The same as `infrastructure`, with 1,000 queues."""

from __future__ import annotations

from tests.bench.infrastructure import of_mode
from tests.bench.measure import Result


def run() -> Result:
    """Create, plan, check and destroy 1,000 queues through Azure Resource Manager."""
    return of_mode("arm", 1_000)

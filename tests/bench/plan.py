"""`dstream plan` of one unchanged queue, compared with the engine's own preview of the same program."""

from __future__ import annotations

from tests.bench.infrastructure import arms
from tests.bench.measure import Arm, Result, compare


def run() -> Result:
    with arms(1) as both:
        both.bare("init")
        both.dstream("init")
        return compare(
            "plan without changes, one queue (plans per second)",
            [
                Arm("the engine's preview, by API", lambda: both.bare("plan")),
                Arm("dstream plan", lambda: both.dstream("plan")),
            ],
            rounds=5,
            aims={"dstream plan": 0.5},
            note="Both read the actual queue, and both are whole processes, including the import of Pulumi's SDK.",
        )

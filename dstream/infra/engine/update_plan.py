"""Completes the engine's update plans.

For a replacement that was requested, or that follows from another one, the engine plans the inputs without the recorded
ones, but compares the update with the recorded ones (pulumi/pkg v3.259.0, resource/deploy/step_generator.go,
`GeneratePlan`). So it would refuse the removal of a property.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path


def allow_removals(update_plan: Path, removed: Mapping[str, Collection[str]]) -> None:
    """Add the inputs that replacements remove, by URN, to the plan (pulumi/sdk/go/common/apitype/plan.go)."""
    if not any(removed.values()):
        return
    plan = json.loads(update_plan.read_bytes())
    for urn, names in removed.items():
        goal = plan["resourcePlans"][urn]["goal"]
        inputs = goal["inputDiff"]
        inputs["deletes"] = sorted({*(inputs.get("deletes") or ()), *names})
    update_plan.write_text(json.dumps(plan), encoding="utf-8")

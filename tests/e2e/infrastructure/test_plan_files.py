"""`plan --out`, then `init --plan`: the reviewed plan is applied exactly, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.infrastructure.cases import Case, Make, Provisioned, max_delivery_count, set_max_delivery_count


def planned(provisioned: Make, case: Case) -> Provisioned:
    """An existing queue, and plan.json, which changes its maximum delivery count to 5."""
    project = provisioned(case.hcl())
    project.succeed("init", "orders", "--yes")
    project.write(case.hcl(count=5))
    project.succeed("plan", "orders", "--out", "plan.json")
    return project


def test_a_current_plan_file_is_shown_and_applied_exactly(provisioned: Make) -> None:
    case = Case("arm", "queue", "file-applied")
    project = planned(provisioned, case)
    assert "10 → 5" in project.succeed("plan", "--show", "plan.json")

    assert project.summary("init", "orders", "--plan", "plan.json", "--yes") == {"update": 1}

    with project.administration() as administration:
        assert max_delivery_count(administration, case) == 5


def hcl_changed(project: Provisioned, case: Case) -> str:
    project.write(case.hcl(count=6))
    return "max_delivery_count"


def entity_changed(project: Provisioned, case: Case) -> str:
    with project.administration() as administration:
        set_max_delivery_count(administration, case, 77)
    return case.name


def state_changed(project: Provisioned, case: Case) -> str:
    project.write(case.hcl(count=8))
    project.succeed("init", "orders", "--yes")
    project.write(case.hcl(count=5))
    return case.name


# The host alone refuses a changed configuration; e2e/test_plan_file.py tests that without an engine.
@pytest.mark.parametrize("change", [pytest.param(hcl_changed, marks=pytest.mark.soak), entity_changed, state_changed])
def test_a_stale_plan_file_is_refused(change: object, provisioned: Make) -> None:
    assert callable(change)
    case = Case("arm", "queue", f"file-{change.__name__.replace('_', '-')}")
    project = planned(provisioned, case)
    changed = change(project, case)
    with project.administration() as administration:
        before = max_delivery_count(administration, case)

        refused = project.dstream("init", "orders", "--plan", "plan.json", "--yes")

        assert refused.returncode == 5, refused.stderr
        assert changed in refused.stderr
        assert max_delivery_count(administration, case) == before


def test_a_plan_file_holds_no_secret(provisioned: Make) -> None:
    case = Case("arm", "queue", "file-secret")
    project = provisioned(case.hcl(more='      connection_string = env("ASB_CONNECTION_STRING")\n'))

    project.succeed("plan", "orders", "--out", "plan.json")

    plan = Path(project.dstream.cwd / "plan.json")
    assert project.sandbox.settings.servicebus_key not in plan.read_text()
    assert plan.stat().st_mode & 0o077 == 0

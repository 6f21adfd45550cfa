"""`plan --out`, then `init --plan`: what was reviewed is what is done, or nothing is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.infrastructure.cases import Case, Make, Provisioned, max_delivery_count, set_max_delivery_count


def planned(provisioned: Make, case: Case) -> Provisioned:
    """An existing queue, and the plan to change its maximum delivery count to 5 in plan.json."""
    project = provisioned(case.hcl())
    project.succeed("init", "orders", "--yes")
    project.write(case.hcl(count=5))
    project.succeed("plan", "orders", "--out", "plan.json")
    return project


def test_an_unchanged_plan_file_is_shown_and_carried_out_exactly(provisioned: Make) -> None:
    case = Case("arm", "queue", "file-applied")
    project = planned(provisioned, case)
    assert "10 → 5" in project.succeed("plan", "--show", "plan.json")

    assert project.summary("init", "orders", "--plan", "plan.json", "--yes") == {"update": 1}

    with project.administration() as administration:
        assert max_delivery_count(administration, case) == 5


def hcl_moved(project: Provisioned, case: Case) -> str:
    project.write(case.hcl(count=6))
    return "max_delivery_count"


def entity_moved(project: Provisioned, case: Case) -> str:
    with project.administration() as administration:
        set_max_delivery_count(administration, case, 77)
    return case.name


def state_moved(project: Provisioned, case: Case) -> str:
    project.write(case.hcl(count=8))
    project.succeed("init", "orders", "--yes")
    project.write(case.hcl(count=5))
    return case.name


# A changed configuration is refused by the host alone; e2e/test_plan_file.py proves it without an engine.
@pytest.mark.parametrize("move", [pytest.param(hcl_moved, marks=pytest.mark.soak), entity_moved, state_moved])
def test_a_plan_file_is_refused_once_what_it_was_made_from_moved(move: object, provisioned: Make) -> None:
    assert callable(move)
    case = Case("arm", "queue", f"file-{move.__name__.replace('_', '-')}")
    project = planned(provisioned, case)
    moved = move(project, case)
    with project.administration() as administration:
        before = max_delivery_count(administration, case)

        refused = project.dstream("init", "orders", "--plan", "plan.json", "--yes")

        assert refused.returncode == 5, refused.stderr
        assert moved in refused.stderr
        assert max_delivery_count(administration, case) == before


def test_a_plan_file_holds_no_secret(provisioned: Make) -> None:
    case = Case("arm", "queue", "file-secret")
    project = provisioned(case.hcl(more='      connection_string = env("ASB_CONNECTION_STRING")\n'))

    project.succeed("plan", "orders", "--out", "plan.json")

    plan = Path(project.dstream.cwd / "plan.json")
    assert project.sandbox.settings.servicebus_key not in plan.read_text()
    assert plan.stat().st_mode & 0o077 == 0

"""`plan --out`, then `init --plan`: the reviewed plan is applied exactly, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.infrastructure.cases import Case, Make, Provisioned, max_delivery_count, set_max_delivery_count

# The host alone refuses a changed configuration; e2e/test_plan_file.py tests that without an engine.
# integration/infra/test_guards.py tests a changed record.


def planned(provisioned: Make, case: Case) -> Provisioned:
    """An existing queue, and plan.json, which changes its maximum delivery count to 5."""
    project = provisioned(case.hcl())
    project.succeed("init", "orders", "--yes")
    project.write(case.hcl(count=5))
    project.succeed("plan", "orders", "--out", "plan.json")
    return project


def test_a_plan_file_is_applied_exactly_but_not_to_a_changed_queue(provisioned: Make) -> None:
    case = Case("arm", "queue", "file-applied")
    project = planned(provisioned, case)
    assert "10 → 5" in project.succeed("plan", "--show", "plan.json")
    with project.administration() as administration:
        set_max_delivery_count(administration, case, 77)
        refused = project.dstream("init", "orders", "--plan", "plan.json", "--yes")
        assert refused.returncode == 5, refused.stderr
        assert case.name in refused.stderr
        assert max_delivery_count(administration, case) == 77
        set_max_delivery_count(administration, case, 10)

        assert project.summary("init", "orders", "--plan", "plan.json", "--yes") == {"update": 1}

        assert max_delivery_count(administration, case) == 5


def hcl_changed(project: Provisioned, case: Case) -> str:
    project.write(case.hcl(count=6))
    return "max_delivery_count"


def state_changed(project: Provisioned, case: Case) -> str:
    project.write(case.hcl(count=8))
    project.succeed("init", "orders", "--yes")
    project.write(case.hcl(count=5))
    return case.name


@pytest.mark.soak
@pytest.mark.parametrize("change", [hcl_changed, state_changed])
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


def test_a_plan_changes_nothing_and_its_file_holds_no_secret(provisioned: Make) -> None:
    case = Case("arm", "queue", "file-secret")
    project = provisioned(case.hcl(more='      connection_string = env("ASB_CONNECTION_STRING")\n'))

    assert project.summary("plan", "orders", "--out", "plan.json") == {"create": 1}

    plan = Path(project.dstream.cwd / "plan.json")
    assert project.sandbox.settings.servicebus_key not in plan.read_text()
    assert plan.stat().st_mode & 0o077 == 0
    with project.administration() as administration:
        assert max_delivery_count(administration, case) is None
    assert project.records == []


@pytest.mark.soak
@pytest.mark.parametrize("mode", ["arm", "entities"])
def test_many_resources_are_planned_twice_in_the_same_words(mode: str, provisioned: Make) -> None:
    """Otherwise, the host would take the second plan for another one."""
    project = provisioned(Case(mode, "topic", f"file-many-{mode}").hcl())
    for command, flags in (("init", ()), ("destroy", ("--destroy",))):
        planned = project.summary("plan", "orders", *flags, "--out", "plan.json")

        assert project.summary(command, "--plan", "plan.json", "--yes") == planned

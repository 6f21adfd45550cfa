"""The full lifecycle from the command line alone: both modes, queues, and topics with everything below them."""

from __future__ import annotations

import pytest

from tests.e2e.infrastructure.cases import Case, Make, clear_faults, delete, max_delivery_count, set_max_delivery_count

MODES_AND_SHAPES = [
    ("arm", "topic"),
    # integration/servicebus_entities tests the same with one engine process fewer per step.
    pytest.param("entities", "queue", marks=pytest.mark.soak),
    pytest.param("arm", "queue", marks=pytest.mark.soak),
    pytest.param("entities", "topic", marks=pytest.mark.soak),
]


@pytest.mark.parametrize(("mode", "shape"), MODES_AND_SHAPES)
def test_infrastructure_is_created_updated_repaired_and_destroyed(mode: str, shape: str, provisioned: Make) -> None:
    case = Case(mode, shape, f"life-{mode}-{shape}")
    project = provisioned(case.hcl())

    created = project.summary("init", "orders", "--yes")
    assert set(created) == {"create"}
    with project.administration() as administration:
        assert max_delivery_count(administration, case) == 10

    project.write(in_another_case(case))
    assert project.summary("plan", "orders", "--detailed-exitcode", "--import") == {"same": created["create"]}

    project.write(case.hcl(count=5))
    changed = project.succeed("init", "orders", "--yes")
    assert "max delivery count" in changed
    assert "10 → 5" in changed
    with project.administration() as administration:
        assert max_delivery_count(administration, case) == 5

        set_max_delivery_count(administration, case, 77)
        status = project.succeed("status", "orders", "--detailed-exitcode", code=2)
        assert case.drifting in status
        assert "5 recorded, 77 actual" in status
        assert project.summary("init", "orders", "--yes")["update"] == 1
        assert max_delivery_count(administration, case) == 5

        delete(administration, case)
        assert "deleted outside" in project.succeed("status", "orders", "--detailed-exitcode", code=2)
        assert project.summary("init", "orders", "--yes")["create"] >= 1
        assert max_delivery_count(administration, case) == 5
    project.succeed("status", "orders", "--detailed-exitcode")
    assert project.records != []

    destroyed = project.summary("destroy", "orders", "--yes")
    assert destroyed["delete"] == created["create"]
    with project.administration() as administration:
        assert max_delivery_count(administration, case) is None
    assert project.records == []


def in_another_case(case: Case) -> str:
    """The same HCL. To azure-native, a namespace, topic or subscription in another letter case is another resource; to
    Azure, it is the same.
    """
    hcl = case.hcl()
    for name in (case.name, "everything", "by-subject"):
        hcl = hcl.replace(f'"{name}"', f'"{name.title()}"')
    return hcl.replace('env("ASB_NAMESPACE")', 'upper(env("ASB_NAMESPACE"))')


@pytest.mark.soak  # integration/infra proves the same without Azure
def test_drift_can_be_accepted_instead_of_fixed(provisioned: Make) -> None:
    case = Case("arm", "queue", "life-accepted")
    project = provisioned(case.hcl())
    project.succeed("init", "orders", "--yes")
    with project.administration() as administration:
        set_max_delivery_count(administration, case, 77)

    assert "now recorded" in project.succeed("status", "orders", "--refresh-only")

    project.succeed("status", "orders", "--detailed-exitcode")
    assert "77 → 10" in project.succeed("plan", "orders", "--detailed-exitcode", code=2)


@pytest.mark.soak  # integration/infra proves the same without Azure
def test_drift_that_matches_the_config_is_only_recorded(provisioned: Make) -> None:
    case = Case("arm", "queue", "life-met")
    project = provisioned(case.hcl())
    project.succeed("init", "orders", "--yes")
    project.write(case.hcl(count=77))
    with project.administration() as administration:
        set_max_delivery_count(administration, case, 77)

    assert project.summary("plan", "orders", "--detailed-exitcode", code=2) == {"refresh": 1}
    project.succeed("init", "orders", "--yes")

    project.succeed("status", "orders", "--detailed-exitcode")


@pytest.mark.soak  # the next test publishes with the connection of the stack
def test_run_publishes_to_the_queue_that_init_created(provisioned: Make) -> None:
    case = Case("arm", "queue", "life-published")
    connection = (
        '      connection_string = env("ASB_CONNECTION_STRING")\n'
        '      admin_connection_string = env("ASB_ADMIN_CONNECTION_STRING")\n'
    )
    project = provisioned(case.hcl(more=connection))
    missing = project.dstream("run", "orders")
    assert missing.returncode == 3
    assert "dstream init" in missing.stderr

    project.succeed("init", "orders", "--yes")
    project.succeed("run", "orders")

    assert len(project.sandbox.receive(case.name, 5)) == 5


def test_run_uses_a_key_of_the_stack_that_nothing_shows_and_a_clean_up_needs_no_stream_settings(
    provisioned: Make,
) -> None:
    case = Case("arm", "queue", "life-stack")
    project = provisioned(case.hcl(more='      connection = "stack"\n'))
    done = project.dstream("init", "orders", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    for operation in ("create", "update", "delete", "list_keys"):
        project.sandbox.fault(kind="azure", operation=operation, code="AuthorizationFailed")
    assert project.summary("plan", "orders", "--out", "plan.json") == {"same": 2}, "the role Reader is enough to plan"
    clear_faults(project.sandbox)

    run = project.dstream("run", "orders", "--log-level", "debug")
    assert run.returncode == 0, run.stderr

    project.write(case.hcl().replace("max_delivery_count = 10", "sessions = true"))
    assert "servicebus.no_sessions_sent" in project.dstream("plan", "orders").stderr
    status = project.succeed("status", "orders")
    assert "servicebus → sandbox (sandbox)" in status
    assert "5 active" in status
    assert "checkpoint" in status
    assert len(project.sandbox.receive(case.name, 5)) == 5
    with project.administration() as administration:
        (rule,) = administration.get_queue(case.name).authorization_rules
    assert (rule.key_name, rule.rights) == ("dstream-send", ["Send"])
    written = [each.read_text() for each in project.dstream.cwd.rglob("*") if each.is_file()]
    for key in (rule.primary_key, rule.secondary_key, project.sandbox.settings.servicebus_key):
        assert not [text for text in (done.stdout, done.stderr, run.stderr, *written) if key in text]

    unset = case.hcl(more='      partition_key = env("NO_SUCH")\n      connection_string = env("NO_SUCH")\n')
    project.write(unset.replace("ASB_NAMESPACE", "NO_SUCH"))
    refused = project.dstream("destroy", "orders", "--yes")
    assert refused.returncode == 3
    assert refused.stderr.count("the environment variable NO_SUCH is not set") == 1
    with project.administration() as administration:
        assert max_delivery_count(administration, case) == 10

    project.write(unset)
    assert project.summary("destroy", "orders", "--yes") == {"delete": 2}
    with project.administration() as administration:
        assert max_delivery_count(administration, case) is None

"""What holds messages is not replaced or deleted unasked."""

from __future__ import annotations

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from tests.e2e.infrastructure.cases import Case, Make, Provisioned, max_delivery_count

MESSAGES = 3


def send(project: Provisioned, case: Case) -> None:
    with ServiceBusClient.from_connection_string(project.sandbox.env["ASB_CONNECTION_STRING"]) as client:
        sender = client.get_queue_sender(case.name) if case.shape == "queue" else client.get_topic_sender(case.name)
        with sender:
            sender.send_messages([ServiceBusMessage(str(number)) for number in range(MESSAGES)])


# The guard of mode `entities` is also proved by integration/servicebus_entities/test_commands.py.
@pytest.mark.parametrize("mode", ["arm", pytest.param("entities", marks=pytest.mark.soak)])
def test_a_replacement_that_loses_messages_is_refused_with_their_number(mode: str, provisioned: Make) -> None:
    case = Case(mode, "queue", f"loss-{mode}-replaced")
    project = provisioned(case.hcl())
    project.succeed("init", "orders", "--yes")
    send(project, case)
    with_sessions = case.hcl(more='      session = "table"\n').replace("max_delivery_count = 10", "sessions = true")
    project.write(with_sessions)

    plan = project.succeed("plan", "orders")
    assert f"holds {MESSAGES} messages" in plan
    assert "off → on" in plan
    assert "--allow-data-loss" in plan

    refused = project.dstream("init", "orders", "--yes")
    assert refused.returncode == 5
    assert f"{MESSAGES} messages" in refused.stderr
    with project.administration() as administration:
        assert administration.get_queue(case.name).requires_session is False
        assert administration.get_queue_runtime_properties(case.name).total_message_count == MESSAGES

    assert project.summary("init", "orders", "--yes", "--allow-data-loss") == {"replace": 1}
    with project.administration() as administration:
        assert administration.get_queue(case.name).requires_session is True


def test_sessions_of_a_subscription_make_it_anew_with_its_rules_and_not_unasked(provisioned: Make) -> None:
    """Azure refuses to change them."""
    case = Case("arm", "topic", "loss-sessions")
    project = provisioned(case.hcl())
    project.succeed("init", "orders", "--yes")
    send(project, case)
    project.write(case.hcl(more='      session = "table"\n'))

    refused = project.dstream("init", "orders", "--yes")
    assert refused.returncode == 5
    assert f"{MESSAGES} messages" in refused.stderr
    project.succeed("init", "orders", "--yes", "--allow-data-loss")

    with project.administration() as administration:
        assert administration.get_subscription(case.name, "everything").requires_session is True
        rules = {each.name for each in administration.list_rules(case.name, "orders")}
    assert rules == {"$Default", "by-subject"}


def test_a_queue_becomes_a_topic_of_the_same_name_once_it_is_deleted(provisioned: Make) -> None:
    queue, topic = Case("arm", "queue", "loss-kind"), Case("arm", "topic", "loss-kind")
    project = provisioned(queue.hcl())
    project.succeed("init", "orders", "--yes")
    project.write(topic.hcl())

    refused = project.dstream("init", "orders", "--yes")
    assert refused.returncode == 3
    assert f"destroy --target {queue.name}" in refused.stderr
    project.succeed("destroy", "orders", "--target", queue.name, "--yes")
    project.succeed("init", "orders", "--yes")

    with project.administration() as administration:
        assert administration.get_topic(topic.name)


# A queue that holds messages is also refused in test_life.py, there with its new namespace.
@pytest.mark.parametrize("shape", [pytest.param("queue", marks=pytest.mark.soak), "topic"])
def test_destroying_what_holds_messages_is_refused(shape: str, provisioned: Make) -> None:
    case = Case("arm", shape, f"loss-{shape}-destroyed")
    project = provisioned(case.hcl())
    project.succeed("init", "orders", "--yes")
    send(project, case)

    refused = project.dstream("destroy", "orders", "--yes")

    assert refused.returncode == 5
    assert f"{MESSAGES} messages" in refused.stderr
    with project.administration() as administration:
        assert max_delivery_count(administration, case) == 10
    project.succeed("destroy", "orders", "--yes", "--allow-data-loss")
    with project.administration() as administration:
        assert max_delivery_count(administration, case) is None


def test_what_can_not_be_known_counts_as_held(provisioned: Make) -> None:
    """Without a refresh the record says nothing of messages that came later."""
    case = Case("arm", "queue", "loss-unknown")
    project = provisioned(case.hcl())
    project.succeed("init", "orders", "--yes")
    send(project, case)

    refused = project.dstream("destroy", "orders", "--yes", "--no-refresh")

    assert refused.returncode == 5


def test_a_queue_that_was_protected_later_is_not_destroyed_before_it_is_free_again(provisioned: Make) -> None:
    case = Case("arm", "queue", "loss-protected")
    project = provisioned(case.hcl())
    project.succeed("init", "orders", "--yes")
    project.write(case.hcl().replace("max_delivery_count = 10", "max_delivery_count = 10\n        protect = true"))
    assert "protect   off → on" in project.succeed("plan", "orders", "--detailed-exitcode", code=2)
    project.succeed("init", "orders", "--yes")

    refused = project.dstream("destroy", "orders", "--yes")

    assert refused.returncode == 5
    assert case.name in refused.stderr
    with project.administration() as administration:
        assert max_delivery_count(administration, case) == 10
    project.write(case.hcl())
    assert project.summary("init", "orders", "--yes") == {"update": 1}
    assert project.summary("destroy", "orders", "--yes") == {"delete": 1}


def test_a_retained_queue_outlives_its_stack(provisioned: Make) -> None:
    case = Case("arm", "queue", "loss-retained")
    hcl = case.hcl().replace("max_delivery_count = 10", "max_delivery_count = 10\n        retain_on_delete = true")
    project = provisioned(hcl)
    project.succeed("init", "orders", "--yes")

    project.succeed("destroy", "orders", "--yes")

    assert project.records == []
    with project.administration() as administration:
        assert max_delivery_count(administration, case) == 10

"""Entities that hold messages are not replaced or deleted unless allowed."""

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


# Data-loss protection in mode `entities` is also tested by integration/servicebus_entities/test_commands.py.
@pytest.mark.parametrize("mode", ["arm", pytest.param("entities", marks=pytest.mark.soak)])
def test_replacing_a_queue_with_messages_is_refused_with_their_count(mode: str, provisioned: Make) -> None:
    case = Case(mode, "queue", f"loss-{mode}-replaced")
    project = provisioned(case.hcl())
    project.succeed("init", "orders", "--yes")
    send(project, case)
    with_sessions = case.hcl(more='      session = "table"\n').replace("max_delivery_count = 10", "sessions = true")
    project.write(with_sessions)

    unknown = project.dstream("destroy", "orders", "--yes", "--no-refresh")
    assert unknown.returncode == 5, "without a refresh, messages that arrived after the last recording are unknown"

    refused = project.dstream("init", "orders", "--yes")
    assert refused.returncode == 5
    for words in (f"holds {MESSAGES} messages", "off → on", "--allow-data-loss"):
        assert words in refused.stdout
    assert f"{MESSAGES} messages" in refused.stderr
    with project.administration() as administration:
        assert administration.get_queue(case.name).requires_session is False
        assert administration.get_queue_runtime_properties(case.name).total_message_count == MESSAGES

    assert project.summary("init", "orders", "--yes", "--allow-data-loss") == {"replace": 1}
    with project.administration() as administration:
        assert administration.get_queue(case.name).requires_session is True


def test_a_queue_becomes_a_topic_and_the_topic_gets_sessions_only_if_nothing_is_lost(provisioned: Make) -> None:
    """Azure can change neither in place."""
    queue, topic = Case("arm", "queue", "loss-kind"), Case("arm", "topic", "loss-kind")
    project = provisioned(queue.hcl())
    project.succeed("init", "orders", "--yes")
    project.write(topic.hcl())

    refused = project.dstream("init", "orders", "--yes")
    assert refused.returncode == 3
    assert f"destroy --target {queue.name}" in refused.stderr
    project.succeed("destroy", "orders", "--target", queue.name, "--yes")
    project.succeed("init", "orders", "--yes")

    send(project, topic)
    undestroyed = project.dstream("destroy", "orders", "--yes")
    assert undestroyed.returncode == 5
    assert f"{MESSAGES} messages" in undestroyed.stderr
    project.write(topic.hcl(more='      session = "table"\n'))

    refused = project.dstream("init", "orders", "--yes")
    assert refused.returncode == 5
    assert f"{MESSAGES} messages" in refused.stderr
    project.succeed("init", "orders", "--yes", "--allow-data-loss")

    with project.administration() as administration:
        assert administration.get_subscription(topic.name, "everything").requires_session is True
        rules = {each.name for each in administration.list_rules(topic.name, "orders")}
    assert rules == {"$Default", "by-subject"}


@pytest.mark.soak  # the tests above and test_life.py show the refusals of both shapes
@pytest.mark.parametrize("shape", ["queue", "topic"])
def test_destroying_an_entity_with_messages_is_refused(shape: str, provisioned: Make) -> None:
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


@pytest.mark.soak  # integration/infra proves the same without Azure
def test_a_protected_queue_is_not_destroyed_until_unprotected(provisioned: Make) -> None:
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


@pytest.mark.soak  # integration/infra proves the same without Azure
def test_a_retained_queue_outlives_its_stack(provisioned: Make) -> None:
    case = Case("arm", "queue", "loss-retained")
    hcl = case.hcl().replace("max_delivery_count = 10", "max_delivery_count = 10\n        retain_on_delete = true")
    project = provisioned(hcl)
    project.succeed("init", "orders", "--yes")

    project.succeed("destroy", "orders", "--yes")

    assert project.records == []
    with project.administration() as administration:
        assert max_delivery_count(administration, case) == 10

"""A new namespace and resource group: they are never deleted with something in them that nobody has seen."""

from __future__ import annotations

from functools import partial

from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.management import ServiceBusAdministrationClient

from tests.e2e.infrastructure.cases import Case, Make, Provisioned

MESSAGES = 3


def send(project: Provisioned, connection_string: str, queue: str) -> None:
    with ServiceBusClient.from_connection_string(connection_string) as client, client.get_queue_sender(queue) as sender:
        sender.send_messages([ServiceBusMessage(str(number)) for number in range(MESSAGES)])


def test_a_new_namespace_is_used_and_destroyed_with_anothers_queue_only_if_its_name_is_confirmed(
    provisioned: Make,
) -> None:
    case = Case("namespace", "queue", "held")
    project = provisioned(case.hcl(more='      connection = "stack"\n      protect_namespace = false\n'))
    assert project.summary("init", "orders", "--yes") == {"create": 4}
    assert project.summary("init", "orders", "--yes") == {"same": 4}
    project.succeed("run", "orders")

    amqp, administration = project.namespace("sb-held")
    administer = partial(
        ServiceBusAdministrationClient.from_connection_string,
        administration,
        connection_verify=str(project.sandbox.folder.ca_file),
    )
    with administer() as client:
        client.create_queue("of-another-task")
        client.create_topic("events")
        client.create_subscription("events", "audit")
    send(project, amqp, "of-another-task")

    refused = project.dstream("destroy", "orders", "--yes")
    assert refused.returncode == 5
    assert "queue sb-held/of-another-task (3 messages)" in refused.stdout
    inside = "queue held (5 messages), queue of-another-task (3 messages), topic events and subscription events/audit"
    assert f"contains {inside}" in refused.stdout
    assert "5 messages" in refused.stderr
    assert "queue of-another-task (3 messages)" in refused.stderr
    assert "--allow-data-loss --confirm rg-held --confirm sb-held" in refused.stderr

    unconfirmed = project.dstream("destroy", "orders", "--yes", "--allow-data-loss", "--confirm", "sb-held")
    assert unconfirmed.returncode == 5
    assert "plan.not_confirmed" in unconfirmed.stderr
    with administer() as client:
        assert client.get_queue_runtime_properties("of-another-task").total_message_count == MESSAGES

    confirmed = ["--allow-data-loss", "--confirm", "rg-held", "--confirm", "sb-held"]
    assert project.summary("destroy", "orders", "--yes", *confirmed) == {"delete": 4}
    assert project.records == []

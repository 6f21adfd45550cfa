"""What a new subscription receives between its creation and that of its rules."""

from __future__ import annotations

from pathlib import Path

from azure.servicebus.management import FalseRuleFilter, ServiceBusAdministrationClient, TrueRuleFilter
from dstream_sandbox.environment import admin_connection_string
from dstream_servicebus.access import Access
from dstream_servicebus.connection import Connector
from dstream_servicebus.entities.resources import entities_resources

from dstream.infra.engine.attachments import served
from tests.integration.engine import Stack
from tests.integration.servicebus_entities.serving import entity
from tests.running import Sandbox


def test_a_filtered_subscription_receives_nothing_before_its_rules_exist(
    sandbox: Sandbox, administration: ServiceBusAdministrationClient, tmp_path: Path
) -> None:
    connector = Connector(Access("", admin_connection_string(sandbox.settings), str(sandbox.folder.ca_file)))
    client = connector.administration(patient=True)
    assert client is not None
    administration.create_topic("first")
    of_topic = {"topicName": "first"}
    with client, served({"dstream": entities_resources(lambda: client, {("first", "eu")})}, parallel=None) as ports:
        stack = Stack(tmp_path, {"dstream": ports["dstream"]})
        stack.resources = [
            entity("Subscription", "first/all", {**of_topic, "subscriptionName": "all"}),
            entity("Subscription", "first/eu", {**of_topic, "subscriptionName": "eu", "maxDeliveryCount": 3}),
        ]
        stack.up()

    assert administration.get_subscription("first", "eu").max_delivery_count == 3
    assert isinstance(administration.get_rule("first", "eu", "$Default").filter, FalseRuleFilter)
    assert isinstance(administration.get_rule("first", "all", "$Default").filter, TrueRuleFilter)

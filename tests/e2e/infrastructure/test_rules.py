"""What a subscription receives while its rules change, from the command line alone."""

from __future__ import annotations

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiveMode

from tests.e2e.infrastructure.cases import ARM, ENTITIES, Make, Provisioned, clear_faults, task

REGIONS = ["eu", "us"]
_REFUSED = '{ name = "eu", filter = "region =" }'


# In the suite, unit/stacks and integration/servicebus_entities test the rules of mode `entities`.
@pytest.mark.parametrize(
    ("mode", "place"),
    [("arm", ARM), pytest.param("entities", ENTITIES, marks=pytest.mark.soak)],
    ids=["arm", "entities"],
)
def test_a_subscription_receives_what_its_rules_say_and_never_nothing(mode: str, place: str, provisioned: Make) -> None:
    topic = f"rules-{mode}"

    def hcl(rules: str) -> str:
        return task(f'{place}      topic = "{topic}"\n      subscriptions = [{{ name = "s", {rules} }}]\n')

    project = provisioned(hcl("filter = \"region = 'eu'\\n\""))
    project.succeed("init", "orders", "--yes")
    assert sent_and_received(project, topic) == ["eu"]

    # A rule that the service refuses does not take effect, and neither does the removal of the filter.
    project.write(hcl(f"rules = [{_REFUSED}]"))
    refused = project.dstream("init", "orders", "--yes")
    assert refused.returncode != 0
    assert f"{topic}/s/eu" in refused.stderr
    assert "$Default" not in refused.stderr
    assert sent_and_received(project, topic) == ["eu"]

    project.write(hcl('rules = [{ name = "us", correlation = { properties = { region = "us" } } }]'))
    project.succeed("init", "orders", "--yes")
    assert sent_and_received(project, topic) == ["us"]

    project.write(hcl('filter = "1 = 1"'))
    project.succeed("init", "orders", "--yes")
    assert sent_and_received(project, topic) == REGIONS

    # Azure cannot return a rule for minutes after such a change; commands then trust the record.
    project.sandbox.fault(kind="hide_rule", seconds=600)
    project.write(hcl("filter = \"region = 'us'\""))
    project.succeed("init", "orders", "--yes")
    project.write(hcl(""))
    project.succeed("init", "orders", "--yes")
    clear_faults(project.sandbox)
    assert sent_and_received(project, topic) == REGIONS


def sent_and_received(project: Provisioned, topic: str) -> list[str]:
    """Send a message for each region to the topic; return those that its subscription `s` received, and remove them."""
    with ServiceBusClient.from_connection_string(project.sandbox.env["ASB_CONNECTION_STRING"]) as client:
        with client.get_topic_sender(topic) as sender:
            sender.send_messages([ServiceBusMessage(each, application_properties={"region": each}) for each in REGIONS])
        mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
        with client.get_subscription_receiver(topic, "s", receive_mode=mode, prefetch_count=10) as receiver:
            received = receiver.receive_messages(10, max_wait_time=0.3)
            while more := receiver.receive_messages(10, max_wait_time=0.3):
                received += more
    return sorted(str(each) for each in received)

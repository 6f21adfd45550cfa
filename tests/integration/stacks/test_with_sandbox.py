"""The real engine runs the program against the sandbox's Azure, whose namespace is the broker that clients use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from dstream_stacks.arm_program import arm_program
from dstream_stacks.holdings import messages_held
from dstream_stacks.spec import (
    AuthorizationRule,
    CorrelationFilter,
    CustomerManagedKey,
    Namespace,
    NetworkRules,
    PrivateEndpoint,
    PublicNetworkAccess,
    Queue,
    ResourceGroup,
    RoleAssignment,
    Rule,
    ServiceBusSpec,
    Subscription,
    Topic,
)
from pulumi.automation.errors import CommandError

from dstream.infra.engine.events import EngineEvents
from dstream.infra.engine.record import StackRecord
from tests.integration.engine import Stack
from tests.integration.sandbox_azure.azure_process import AzureProcess

SENDER = AuthorizationRule(name="sender", rights=("Listen", "Send"))
PRINCIPAL = "11111111-2222-3333-4444-555555555555"
SPEC = ServiceBusSpec(
    resource_group=ResourceGroup(name="rg-retail", create=True, location="westeurope"),
    namespace=Namespace(name="sb-retail", create=True, location="westeurope", minimum_tls_version="1.2"),
    queues=(
        Queue(
            name="orders",
            duplicate_detection=True,
            duplicate_detection_window_s=1800,
            sessions=True,
            lock_duration_s=30,
            max_delivery_count=5,
            max_size_mb=2048,
            default_time_to_live_s=129_600,
            dead_letter_expired=True,
        ),
        Queue(name="returns", forward_dead_lettered_to="lost"),
        Queue(name="lost", duplicate_detection=False),
    ),
    topics=(
        Topic(
            name="events",
            duplicate_detection=True,
            duplicate_detection_window_s=600,
            subscriptions=(
                Subscription(name="all"),
                Subscription(
                    name="eu", max_delivery_count=3, rules=(Rule(sql="region = 'eu'", action="SET seen = 1"),)
                ),
                Subscription(name="cars", rules=(Rule(name="cars", correlation=CorrelationFilter(subject="cars")),)),
            ),
        ),
    ),
    authorization_rules=(
        SENDER,
        AuthorizationRule(name="reader", rights=("Listen",), queue="orders"),
        AuthorizationRule(name="reader", rights=("Listen",), topic="events"),
    ),
    publisher=SENDER,
    role_assignments=(
        RoleAssignment(role="Sender", principal_id=PRINCIPAL, queue="orders"),
        RoleAssignment(role="Receiver", principal_id=PRINCIPAL, topic="events", subscription="eu"),
    ),
    tags={"team": "retail"},
)
RESOURCES = 18 + 1  # and the stack


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureProcess]:
    process = AzureProcess(tmp_path_factory.mktemp("azure")).start()
    yield process
    process.end()


def test_provisioned_entities_show_no_drift_and_serve_clients(azure: AzureProcess, tmp_path: Path) -> None:
    engine = Stack(tmp_path / "stack", {"azure-native": azure.ready["azure_port"]})
    azure.control("faults", {"kind": "azure", "operation": "create", "entity": "events/*", "seconds": 0.05})
    assert engine.apply(arm_program(SPEC)) == {"create": RESOURCES}
    assert azure.control("counters")["azure_conflicts"] == 0  # changes within a topic follow one another
    azure.control("faults", {"clear": True})

    # After a refresh of everything, nothing differs: names, formats and defaults are Azure's own.
    assert engine.apply(arm_program(SPEC), refresh=True) == {"same": RESOURCES}

    with ServiceBusClient.from_connection_string(engine.outputs["connection_string"]) as client:
        with client.get_topic_sender("events") as sender:
            sender.send_messages(
                [
                    ServiceBusMessage("a", subject="cars"),
                    ServiceBusMessage("b", application_properties={"region": "eu"}),
                ]
            )
        for subscription, bodies in (("all", ["a", "b"]), ("eu", ["b"]), ("cars", ["a"])):
            with client.get_subscription_receiver("events", subscription) as receiver:
                received = receiver.peek_messages(10, timeout=10)
                assert [str(message) for message in received] == bodies, subscription

    # After a refresh, the outputs show what would be lost.
    engine.refresh()
    held = {
        each["urn"].rpartition("::")[2]: messages_held(each["type"], each["outputs"])
        for each in engine.deployment["resources"]
        if each["type"] in ("azure-native:servicebus:Queue", "azure-native:servicebus:Subscription")
    }
    assert held == {"orders": 0, "returns": 0, "lost": 0, "events/all": 2, "events/eu": 1, "events/cars": 1}


def test_a_customer_managed_key_and_diagnostics_show_no_drift(azure: AzureProcess, tmp_path: Path) -> None:
    engine = Stack(tmp_path / "stack", {"azure-native": azure.ready["azure_port"]})
    key = CustomerManagedKey(vault="https://kv-retail.vault.azure.net", name="sb", identity=f"/ids/{PRINCIPAL}")
    spec = ServiceBusSpec(
        resource_group=ResourceGroup(name="rg-encrypted", create=True, location="westeurope"),
        namespace=Namespace(
            name="sb-encrypted",
            create=True,
            location="westeurope",
            tier="Premium",
            customer_managed_key=key,
            log_analytics_workspace="/workspaces/logs",
        ),
    )

    assert engine.apply(arm_program(spec)) == {"create": 4}
    assert engine.apply(arm_program(spec), refresh=True) == {"same": 4}
    diagnostics = engine.recorded("sb-encrypted/dstream")["outputs"]
    assert diagnostics["workspaceId"] == "/workspaces/logs"
    assert diagnostics["logs"] == [{"categoryGroup": "allLogs", "enabled": True}]
    assert diagnostics["metrics"] == [{"category": "AllMetrics", "enabled": True}]
    outputs = engine.recorded("sb-encrypted")["outputs"]
    assert outputs["encryption"]["keyVaultProperties"] == [
        {
            "keyName": "sb",
            "keyVaultUri": "https://kv-retail.vault.azure.net",
            "identity": {"userAssignedIdentity": f"/ids/{PRINCIPAL}"},
        }
    ]
    assert list(outputs["identity"]["userAssignedIdentities"]) == [f"/ids/{PRINCIPAL}"]


NETWORK = "/subscriptions/00000000-d57e-4a00-8000-5a4db0c00001/resourceGroups/sandbox/providers/Microsoft.Network"
SUBNET = f"{NETWORK}/virtualNetworks/sandbox/subnets/default"
ZONE = f"{NETWORK}/privateDnsZones/privatelink.servicebus.windows.net"


def test_the_network_of_a_private_namespace_shows_no_drift(azure: AzureProcess, tmp_path: Path) -> None:
    closed = Namespace(
        name="sb-network",
        create=True,
        location="westeurope",
        tier="Premium",
        network_rules=NetworkRules(ip_rules=("203.0.113.0/24",), subnets=(SUBNET,), trusted_services=True),
        private_endpoints=(PrivateEndpoint(name="pe-network", subnet=SUBNET, dns_zone=ZONE),),
    )
    engine = Stack(tmp_path / "stack", {"azure-native": azure.ready["azure_port"]})

    def apply(namespace: Namespace, **options: bool) -> dict[str, int]:
        group = ResourceGroup(name="rg-network", create=True, location="westeurope")
        return engine.apply(arm_program(ServiceBusSpec(resource_group=group, namespace=namespace)), **options)

    def rule_set() -> dict[str, Any]:
        found: dict[str, Any] = engine.recorded("sb-network/network-rules")["outputs"]
        return found

    assert apply(closed) == {"create": 6}
    assert apply(closed, refresh=True) == {"same": 6}
    assert (rule_set()["defaultAction"], rule_set()["publicNetworkAccess"]) == ("Deny", "Enabled")
    assert rule_set()["ipRules"] == [{"action": "Allow", "ipMask": "203.0.113.0/24"}]

    # The namespace's public network access is also that of its rule set.
    rules = NetworkRules(trusted_services=True)
    private = msgspec.structs.replace(closed, network_rules=rules, public_network_access="Disabled")
    assert apply(private) == {"update": 2, "same": 4}
    assert apply(private, refresh=True) == {"same": 6}
    assert (rule_set()["defaultAction"], rule_set()["publicNetworkAccess"]) == ("Allow", "Disabled")

    # Without network rules, Azure resets them; the rest stays private.
    plain = msgspec.structs.replace(private, network_rules=None)
    assert apply(plain) == {"delete": 1, "same": 5}
    assert apply(plain, refresh=True) == {"same": 5}
    assert engine.recorded("sb-network")["outputs"]["publicNetworkAccess"] == "Disabled"
    engine.destroy()


def test_existing_entities_are_imported_and_the_others_created(azure: AzureProcess, tmp_path: Path) -> None:
    existing = ServiceBusSpec(
        resource_group=ResourceGroup(name="sandbox"),
        namespace=Namespace(name="sandbox"),
        queues=(Queue(name="taken-over", lock_duration_s=30),),
    )
    Stack(tmp_path / "before", {"azure-native": azure.ready["azure_port"]}).apply(arm_program(existing))
    wanted = msgspec.structs.replace(
        existing,
        queues=(Queue(name="taken-over", lock_duration_s=45, max_delivery_count=4), Queue(name="new")),
        topics=(Topic(name="new-topic", subscriptions=(Subscription(name="s", rules=(Rule(sql="x = 1"),)),)),),
        authorization_rules=(AuthorizationRule(name="new-rule", rights=("Listen",), queue="new"),),
        import_existing=True,
    )
    engine = Stack(tmp_path / "stack", {"azure-native": azure.ready["azure_port"]})

    elsewhere = msgspec.structs.replace(wanted, namespace=Namespace(name="sb-elsewhere"))
    with pytest.raises(CommandError, match='"sb-elsewhere" does not exist in resource group "sandbox"'):
        engine.running(arm_program(elsewhere)).preview()

    done = engine.apply(arm_program(wanted))

    assert done.pop("update") == 1
    assert done == {"import": 1, "create": 5 + 1}
    assert engine.apply(arm_program(wanted), refresh=True) == {"same": 6 + 1}


def test_ignored_changes_stay_and_an_imported_private_namespace_stays_private(
    azure: AzureProcess, tmp_path: Path
) -> None:
    def spec(
        queue: Queue, capacity: int, access: PublicNetworkAccess | None, ignored: tuple[str, ...]
    ) -> ServiceBusSpec:
        namespace = Namespace(
            name="sb-private",
            create=True,
            location="westeurope",
            tier="Premium",
            capacity=capacity,
            public_network_access=access,
            ignore_changes=ignored,
        )
        return ServiceBusSpec(
            resource_group=ResourceGroup(name="sandbox"), namespace=namespace, queues=(queue,), import_existing=True
        )

    theirs = Stack(tmp_path / "theirs", {"azure-native": azure.ready["azure_port"]})
    theirs.apply(arm_program(spec(Queue(name="ignoring", max_delivery_count=4), 1, "Disabled", ())))

    ours = Stack(tmp_path / "ours", {"azure-native": azure.ready["azure_port"]})
    wanted = spec(
        Queue(name="ignoring", max_delivery_count=7, ignore_changes=("maxDeliveryCount",)), 2, None, ("sku.capacity",)
    )
    assert ours.apply(arm_program(wanted)) == {"import": 2, "create": 1}  # the values of `theirs` stay
    assert ours.recorded("sb-private")["inputs"]["publicNetworkAccess"] == "Disabled"
    assert ours.recorded("sb-private")["inputs"]["sku"]["capacity"] == 1
    assert ours.recorded("ignoring")["inputs"]["maxDeliveryCount"] == 4

    theirs.apply(arm_program(spec(Queue(name="ignoring", max_delivery_count=5), 4, "Disabled", ())), refresh=True)
    drift = EngineEvents(ignored=StackRecord({"deployment": ours.deployment}).ignored)
    ours.stack.preview_refresh(on_event=drift.take)
    assert {each.name: each.op for each in drift.verdicts} == {"ignoring": "same", "sb-private": "same"}
    assert ours.apply(arm_program(wanted), refresh=True) == {"same": 3}
    assert ours.recorded("sb-private")["inputs"]["sku"]["capacity"] == 4

"""Converts entities of the broker to Atom entries, with the counts and times that only the running broker knows."""

from __future__ import annotations

from collections.abc import Mapping

from dstream_sandbox.servicebus.admin.atom import Entry
from dstream_sandbox.servicebus.admin.durations import format_moment
from dstream_sandbox.servicebus.admin.fields import QUEUE, SUBSCRIPTION, TOPIC, write_description
from dstream_sandbox.servicebus.admin.names import COUNTS
from dstream_sandbox.servicebus.admin.rules import write_rule
from dstream_sandbox.servicebus.broker.descriptions import RuleDescription
from dstream_sandbox.servicebus.broker.namespace import Node, QueueNode, SubscriptionNode, TopicNode

__all__ = ["Address", "entity_entry", "namespace_entry", "rule_entry"]


class Address:
    """The namespace and the address to which a request was sent, for the response."""

    def __init__(self, namespace: str, scheme: str, host: str, api_version: str) -> None:
        self.namespace = namespace
        self.host = host
        self._base = f"{scheme}://{host}"
        self._version = api_version

    def of(self, path: str, **query: int) -> str:
        numbers = "".join(f"&${name}={value}" for name, value in query.items())
        return f"{self._base}/{path}?api-version={self._version}{numbers}"


def entity_entry(node: Node, address: Address) -> Entry:
    if isinstance(node, QueueNode):
        kind, known = "QueueDescription", QUEUE
    elif isinstance(node, TopicNode):
        kind, known = "TopicDescription", TOPIC
    else:
        kind, known = "SubscriptionDescription", SUBSCRIPTION
    content = write_description(known, node.description, _runtime(node), address.host)
    return Entry(address.of(node.path), node.name, address.namespace, node.created_at, node.updated_at, kind, content)


def rule_entry(node: SubscriptionNode, rule: RuleDescription, address: Address) -> Entry:
    url = address.of(f"{node.path}/Rules/{rule.name}")
    return Entry(
        url, rule.name, address.namespace, rule.created_at, rule.created_at, "RuleDescription", write_rule(rule)
    )


def namespace_entry(address: Address, sku: str, created_at: float) -> Entry:
    units = "<MessagingUnits>1</MessagingUnits>" if sku == "Premium" else ""
    content = (
        f"<CreatedTime>{format_moment(created_at)}</CreatedTime><MessagingSKU>{sku}</MessagingSKU>{units}"
        f"<ModifiedTime>{format_moment(created_at)}</ModifiedTime><Name>{address.namespace}</Name>"
        "<NamespaceType>Messaging</NamespaceType>"
    )
    url = address.of("$namespaceinfo")
    return Entry(url, address.namespace, address.namespace, created_at, created_at, "NamespaceInfo", content)


def _runtime(node: Node) -> Mapping[str, str]:
    queue = node.queue
    scheduled = len(queue.scheduled)
    dead, transfer_dead = len(queue.dead.entries), len(queue.transfer_dead.entries)
    active = 0 if isinstance(node, TopicNode) else len(queue.main.entries)
    runtime = {
        "SizeInBytes": str(node.size_bytes if isinstance(node, TopicNode) else queue.size_bytes),
        # Includes all sub-queues and scheduled messages, as SDKs document.
        "MessageCount": str(active + scheduled + dead + transfer_dead),
        "CreatedAt": format_moment(node.created_at),
        "UpdatedAt": format_moment(node.updated_at),
        "AccessedAt": format_moment(queue.accessed_at),
        "CountDetails": _counts(active, dead, scheduled, transfer_dead),
        "EntityAvailabilityStatus": "Available",
    }
    if isinstance(node, TopicNode):
        runtime["SubscriptionCount"] = str(len(node.subscriptions))
    return runtime


def _counts(active: int, dead: int, scheduled: int, transfer_dead: int) -> str:
    return (
        f'<CountDetails xmlns:d2p1="{COUNTS}"><d2p1:ActiveMessageCount>{active}</d2p1:ActiveMessageCount>'
        f"<d2p1:DeadLetterMessageCount>{dead}</d2p1:DeadLetterMessageCount>"
        f"<d2p1:ScheduledMessageCount>{scheduled}</d2p1:ScheduledMessageCount>"
        "<d2p1:TransferMessageCount>0</d2p1:TransferMessageCount>"
        f"<d2p1:TransferDeadLetterMessageCount>{transfer_dead}</d2p1:TransferDeadLetterMessageCount></CountDetails>"
    )

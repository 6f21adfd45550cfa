"""One value of each kind with every setting set."""

from __future__ import annotations

from dstream_stacks.spec import (
    CorrelationFilter,
    CustomerManagedKey,
    Namespace,
    NetworkRules,
    PrivateEndpoint,
    Queue,
    Rule,
    Subscription,
    Topic,
)

QUEUE = Queue(
    name="orders",
    default_time_to_live_s=60,
    auto_delete_on_idle_s=300,
    batched_operations=True,
    user_metadata="note",
    duplicate_detection=True,
    duplicate_detection_window_s=600,
    sessions=True,
    partitioning=False,
    lock_duration_s=30,
    max_delivery_count=5,
    dead_letter_expired=True,
    forward_to="a",
    forward_dead_lettered_to="b",
    max_size_mb=1024,
    max_message_size_kb=2048,
)
TOPIC = Topic(
    name="events",
    default_time_to_live_s=60,
    auto_delete_on_idle_s=300,
    batched_operations=True,
    user_metadata="note",
    duplicate_detection=True,
    duplicate_detection_window_s=600,
    partitioning=False,
    support_ordering=True,
    max_size_mb=1024,
    max_message_size_kb=2048,
)
SUBSCRIPTION = Subscription(
    name="audit",
    default_time_to_live_s=60,
    auto_delete_on_idle_s=300,
    batched_operations=True,
    user_metadata="note",
    sessions=True,
    lock_duration_s=30,
    max_delivery_count=5,
    dead_letter_expired=True,
    dead_letter_filter_errors=True,
    forward_to="a",
    forward_dead_lettered_to="b",
)
NAMESPACE = Namespace(
    name="sb-orders",
    tier="Premium",
    capacity=2,
    premium_messaging_partitions=1,
    zone_redundant=True,
    minimum_tls_version="1.2",
    disable_local_auth=True,
    public_network_access="Disabled",
    customer_managed_key=CustomerManagedKey(vault="https://kv", name="sb", version="1", identity="/id"),
)
NETWORK_RULES = NetworkRules(ip_rules=("203.0.113.0/24",), subnets=("/subnet",), trusted_services=True)
PRIVATE_ENDPOINT = PrivateEndpoint(
    name="pe-sb", subnet="/subnet", location="northeurope", dns_zone="/zones/privatelink.servicebus.windows.net"
)
CORRELATION = CorrelationFilter(
    correlation_id="1",
    message_id="2",
    to="3",
    reply_to="4",
    subject="5",
    session_id="6",
    reply_to_session_id="7",
    content_type="8",
    properties={"k": "v"},
)
SQL_RULE = Rule(name="eu", sql="region = 'eu'", action="SET x = 1")
CORRELATION_RULE = Rule(name="cars", correlation=CORRELATION)

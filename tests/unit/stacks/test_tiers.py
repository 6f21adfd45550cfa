from __future__ import annotations

from dstream_stacks.spec import Queue, ServiceBusSpec, Subscription, Topic
from dstream_stacks.tiers import unsupported

SPEC = ServiceBusSpec(
    queues=(Queue(name="orders", duplicate_detection=True, sessions=False, partitioning=True),),
    topics=(Topic(name="events", subscriptions=(Subscription(name="audit", sessions=True),)),),
)


def test_what_a_tier_lacks_is_named_with_its_entity() -> None:
    assert list(unsupported(SPEC, "Basic")) == [
        ("orders", "duplicate_detection"),
        ("events", "topics"),
        ("events/audit", "sessions"),
    ]
    assert list(unsupported(SPEC, "Standard")) == []
    assert list(unsupported(SPEC, "Premium")) == [("orders", "partitioning")]

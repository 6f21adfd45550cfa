"""The program that DStream builds from a task's settings, with the resources of mode `entities`."""

from __future__ import annotations

from azure.servicebus.management import ServiceBusAdministrationClient
from dstream_servicebus.entities.resources import entities_resources
from dstream_stacks.entities_program import entities_program
from dstream_stacks.spec import CorrelationFilter, Queue, Rule, ServiceBusSpec, Subscription, Topic

from tests.integration.engine import Stack


def test_every_setting_of_a_spec_is_applied_and_shows_no_drift(
    stack: Stack, administration: ServiceBusAdministrationClient
) -> None:
    administration.create_queue("spec-existing", max_delivery_count=3)
    spec = ServiceBusSpec(
        mode="entities",
        queues=(
            Queue(
                name="spec",
                default_time_to_live_s=3600,
                auto_delete_on_idle_s=600,
                batched_operations=False,
                user_metadata="m",
                duplicate_detection=True,
                duplicate_detection_window_s=60,
                sessions=True,
                partitioning=False,
                lock_duration_s=30,
                max_delivery_count=5,
                dead_letter_expired=True,
                forward_dead_lettered_to="spec-dead",
                max_size_mb=2048,
            ),
            Queue(name="spec-dead"),
            Queue(name="spec-existing", max_delivery_count=3, import_=True),
        ),
        topics=(
            Topic(
                name="spec-events",
                duplicate_detection=True,
                support_ordering=True,
                subscriptions=(
                    Subscription(
                        name="audit",
                        sessions=True,
                        dead_letter_filter_errors=False,
                        rules=(
                            Rule(name="eu", sql="r = 'EU'", action="SET a = 'b'"),
                            Rule(name="us", correlation=CorrelationFilter(subject="us", properties={"a": "b"})),
                        ),
                    ),
                    Subscription(name="eu-only", rules=(Rule(sql="r = 'EU'"),)),
                ),
            ),
        ),
    )
    existing = entities_resources(lambda: administration)
    stack.program = entities_program(spec, exists=existing.exists)

    done = stack.up()
    assert done.pop("spec-existing") == "import"
    assert set(done.values()) == {"create"}
    assert {each.name for each in administration.list_rules("spec-events", "audit")} >= {"eu", "us"}
    assert stack.plan(refresh=True) == {}

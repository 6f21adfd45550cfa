"""Role assignments on queues, topics and subscriptions."""

from __future__ import annotations

from typing import Any

import pytest
from dstream_stacks.spec import RoleAssignment

from dstream.errors import ConfigError
from tests.unit.servicebus.specs import PRINCIPAL, spec, topics


def test_a_role_is_assigned_on_each_entity_or_on_one_subscription() -> None:
    built = spec(
        queue=None,
        topic="{table}",
        tables=["a", "b"],
        subscriptions=[{"name": "audit"}, {"name": "eu", "topics": ["b"]}],
        role_assignments=[
            {"role": "Sender", "principal_id": PRINCIPAL.upper()},
            {"role": "Receiver", "principal_id": PRINCIPAL, "entity": "a", "subscription": "audit"},
            {"role": "Receiver", "principal_id": PRINCIPAL, "subscription": "eu", "principal_type": "Group"},
        ],
    )

    assert built.role_assignments == (
        RoleAssignment(role="Sender", principal_id=PRINCIPAL, topic="a"),
        RoleAssignment(role="Sender", principal_id=PRINCIPAL, topic="b"),
        RoleAssignment(role="Receiver", principal_id=PRINCIPAL, topic="a", subscription="audit"),
        RoleAssignment(role="Receiver", principal_id=PRINCIPAL, topic="b", subscription="eu", principal_type="Group"),
    )


@pytest.mark.parametrize(
    ("assignment", "code", "path"),
    [
        ({"principal_id": "me"}, "bad_name", "role_assignments[0].principal_id"),
        ({"entity": "event"}, "unknown_entity", "role_assignments[0].entity"),
        ({"subscription": "audit"}, "not_of_kind", "role_assignments[0].subscription"),
        ({"role": "Receiver", "subscription": "audits"}, "unknown_entity", "role_assignments[0].subscription"),
        ({"entity": "events"}, "duplicate_name", "role_assignments[1]"),
    ],
)
def test_an_impossible_role_assignment_is_refused(assignment: dict[str, Any], code: str, path: str) -> None:
    sender = {"role": "Sender", "principal_id": PRINCIPAL}
    with pytest.raises(ConfigError) as refused:
        topics(subscriptions=[{"name": "audit"}], role_assignments=[{**sender, **assignment}, sender])

    assert (refused.value.code, refused.value.config_path) == (f"servicebus.{code}", path)


def test_a_queue_has_no_subscriptions_to_assign_roles_on() -> None:
    receiver = {"role": "Receiver", "principal_id": PRINCIPAL, "subscription": "audit"}
    with pytest.raises(ConfigError, match="a queue has no subscriptions"):
        spec(role_assignments=[receiver])

"""Role assignments from the settings: one for each entity, so that an identity gets no more than it needs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dstream_stacks.entities import EntityKind
from dstream_stacks.spec import RoleAssignment

from dstream.sdk.errors import ConfigError
from dstream_servicebus.config import Config
from dstream_servicebus.settings import limits
from dstream_servicebus.settings.infrastructure import RoleAssignmentSettings


def role_assignments(config: Config, kind: EntityKind, names: Sequence[str]) -> tuple[RoleAssignment, ...]:
    """Return the role assignments on the task's queues or topics. Raises ConfigError."""
    made: list[RoleAssignment] = []
    for index, settings in enumerate(config.role_assignments):
        where = f"role_assignments[{index}]"
        _check(config, settings, kind, names, where)
        for each in _of(config, settings, kind, names):
            if any(_granted(each) == _granted(other) for other in made):
                raise _granted_twice(each, where)
            made.append(each)
    return tuple(made)


def _check(
    config: Config, settings: RoleAssignmentSettings, kind: EntityKind, names: Sequence[str], where: str
) -> None:
    limits.check_principal_id(settings.principal_id, f"{where}.principal_id")
    if settings.entity is not None:
        limits.check_known(settings.entity, names, f"{where}.entity")
    if settings.subscription is None:
        return
    if kind == "queue" or settings.role != "Receiver":
        raise ConfigError(
            "servicebus.not_of_kind",
            "a queue has no subscriptions" if kind == "queue" else "messages are sent to topics, not to subscriptions",
            hint="Remove subscription.",
            config_path=f"{where}.subscription",
        )
    known = [
        each.name
        for each in config.subscriptions
        if settings.entity is None or not each.topics or settings.entity in each.topics
    ]
    limits.check_known(settings.subscription, known, f"{where}.subscription", "subscription")


def _of(
    config: Config, settings: RoleAssignmentSettings, kind: EntityKind, names: Sequence[str]
) -> Iterator[RoleAssignment]:
    for name in names:
        if settings.entity not in (None, name) or not _has_subscription(config, settings, name):
            continue
        yield RoleAssignment(
            role=settings.role,
            principal_id=settings.principal_id.lower(),  # Azure's form
            principal_type=settings.principal_type,
            queue=name if kind == "queue" else "",
            topic=name if kind == "topic" else "",
            subscription=settings.subscription or "",
        )


def _has_subscription(config: Config, settings: RoleAssignmentSettings, topic: str) -> bool:
    if settings.subscription is None:
        return True
    return any(
        each.name == settings.subscription and (not each.topics or topic in each.topics)
        for each in config.subscriptions
    )


def _granted(assignment: RoleAssignment) -> tuple[str, ...]:
    return assignment.queue, assignment.topic, assignment.subscription, assignment.role, assignment.principal_id


def _granted_twice(assignment: RoleAssignment, where: str) -> ConfigError:
    scope = "/".join(name for name in _granted(assignment)[:3] if name)
    return ConfigError(
        "servicebus.duplicate_name",
        f"the role {assignment.role} on {scope} is assigned to {assignment.principal_id} twice",
        hint="Remove one of the two.",
        config_path=where,
    )

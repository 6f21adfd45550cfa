"""Ids of entities: `queue/orders`, `topic/events`, `topic/events/subscription/audit`, `../rule/eu`. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dstream.infra.attached.types import ResourceFailed, Values


@dataclass(frozen=True, slots=True)
class IdShape:
    """Builds the ids of one type from the settings that name it."""

    segments: tuple[str, ...]
    names: tuple[str, ...]

    def id_of(self, inputs: Values) -> str:
        return "/".join(f"{segment}/{inputs[name]}" for segment, name in zip(self.segments, self.names, strict=True))

    def keys_of(self, resource_id: str) -> tuple[str, ...]:
        """Return the names. Only the first, a queue's or topic's, may contain a slash. Raises ResourceFailed."""
        first, *others = self.segments
        pattern = f"{first}/(.+)" + "".join(f"/{segment}/([^/]+)" for segment in others)
        match = re.fullmatch(pattern, resource_id)
        if match is None:
            expected = "/".join(f"{segment}/NAME" for segment in self.segments)
            raise ResourceFailed(f"'{resource_id}' is not an id of this type; expected {expected}")
        return match.groups()


QUEUE_ID = IdShape(("queue",), ("queueName",))
TOPIC_ID = IdShape(("topic",), ("topicName",))
SUBSCRIPTION_ID = IdShape(("topic", "subscription"), ("topicName", "subscriptionName"))
RULE_ID = IdShape(("topic", "subscription", "rule"), ("topicName", "subscriptionName", "ruleName"))

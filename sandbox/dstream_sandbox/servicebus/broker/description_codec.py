"""Converts descriptions to and from JSON for the store."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from dstream_sandbox.servicebus.broker.descriptions import (
    AuthorizationRule,
    CorrelationFilter,
    FalseFilter,
    Filter,
    QueueDescription,
    RuleDescription,
    SqlAction,
    SqlFilter,
    SubscriptionDescription,
    TopicDescription,
    TrueFilter,
)

__all__ = ["read_entity", "read_rule", "to_json"]

_Entity = TypeVar("_Entity", QueueDescription, TopicDescription, SubscriptionDescription)

_FILTERS = {cls.__name__: cls for cls in (SqlFilter, TrueFilter, FalseFilter, CorrelationFilter)}


def to_json(description: QueueDescription | TopicDescription | SubscriptionDescription | RuleDescription) -> str:
    values = asdict(description)
    if isinstance(description, RuleDescription):
        values["filter"]["kind"] = type(description.filter).__name__
    return json.dumps(values, default=_tagged)


def read_entity(kind: type[_Entity], text: str) -> _Entity:
    values = json.loads(text)
    if "authorization_rules" in values:
        values["authorization_rules"] = tuple(
            AuthorizationRule(**{**rule, "rights": tuple(rule["rights"])}) for rule in values["authorization_rules"]
        )
    return kind(**values)


def read_rule(text: str) -> RuleDescription:
    values = cast("dict[str, Any]", json.loads(text, object_hook=_untagged))
    action = values["action"]
    return RuleDescription(
        values["name"], _filter(values["filter"]), SqlAction(**action) if action else None, values["created_at"]
    )


def _filter(values: dict[str, Any]) -> Filter:
    kind = _FILTERS[values.pop("kind")]
    return kind(**values)


def _tagged(value: object) -> object:
    if isinstance(value, datetime):
        return {"$datetime": value.isoformat()}
    if isinstance(value, timedelta):
        return {"$seconds": value.total_seconds()}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} is not a valid type in a rule")


def _untagged(values: Mapping[str, Any]) -> object:
    if "$datetime" in values:
        return datetime.fromisoformat(values["$datetime"])
    if "$seconds" in values:
        return timedelta(seconds=values["$seconds"])
    if "$bytes" in values:
        return base64.b64decode(values["$bytes"])
    return values

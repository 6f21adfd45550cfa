"""The properties of queues, topics, subscriptions and rules in mode `entities`. Pure.

They have the names of Azure Resource Manager, so that one spec serves both modes. The properties of rules come from the
ARM reference, "Microsoft.ServiceBus namespaces/topics/subscriptions/rules"; the others from
`dstream_stacks.properties`. Ranges are the widest that any tier or the emulator accepts; the service refuses the rest.
"""

from __future__ import annotations

from dstream_stacks.properties import EntityProperty, EntityType, Form, properties_of

from dstream.infra.attached.types import Kind, Property

MATCH_ALL = "1=1"
DEFAULT_RULE = "$Default"

_KINDS: dict[Form, Kind] = {
    "flag": "boolean",
    "text": "string",
    "count": "integer",
    "duration": "duration",
    "megabytes": "integer",
    "kilobytes": "integer",
}
_NAME = Property("string", required=True, replaces=True)
_TEXT = Property("string", defaults=("",))
_STATUS = Property("string", defaults=("Active",), choices=("Active", "Disabled", "SendDisabled", "ReceiveDisabled"))


def _properties_of(kind: EntityType) -> dict[str, Property]:
    return {"status": _STATUS, **{each.azure: _property(each) for each in properties_of(kind)}}


def _property(each: EntityProperty) -> Property:
    low, high = each.emulator_range or each.range
    return Property(_KINDS[each.form], replaces=each.replaces, defaults=each.defaults, minimum=low, maximum=high)


QUEUE = {"queueName": _NAME, **_properties_of("queue")}
TOPIC = {"topicName": _NAME, **_properties_of("topic")}
SUBSCRIPTION = {"topicName": _NAME, "subscriptionName": _NAME, **_properties_of("subscription")}
_SQL = {"sqlExpression": Property("string", required=True)}
RULE = {
    "topicName": _NAME,
    "subscriptionName": _NAME,
    "ruleName": _NAME,
    "filterType": Property("string", choices=("SqlFilter", "CorrelationFilter")),
    "sqlFilter": Property("object", defaults=({"sqlExpression": MATCH_ALL},), fields=_SQL),
    "correlationFilter": Property(
        "object",
        fields={
            "contentType": _TEXT,
            "correlationId": _TEXT,
            "label": _TEXT,
            "messageId": _TEXT,
            "properties": Property("map", defaults=({},)),
            "replyTo": _TEXT,
            "replyToSessionId": _TEXT,
            "sessionId": _TEXT,
            "to": _TEXT,
        },
    ),
    "action": Property("object", fields=_SQL),
}

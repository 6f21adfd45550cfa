"""The settings of queues, topics, subscriptions and rules, named as Azure Resource Manager names them.

So one specification feeds both ways to make them: through Azure, and through the administration endpoint. Sources: ARM
reference "Microsoft.ServiceBus namespaces/queues", "../topics", "../subscriptions", "../rules"; "Service Bus quotas".
Ranges are the widest that any tier or the emulator takes; the service refuses the rest in its own words. Pure.
"""

from __future__ import annotations

from dstream.infra.attached.types import Property

FOREVER = "P10675199DT2H48M5.4775807S"
"""The longest time span that the service knows: what it takes where none is given."""
MATCH_ALL = "1=1"
DEFAULT_RULE = "$Default"

_NAME = Property("string", required=True, replaces=True)
_FIXED = Property("boolean", replaces=True, defaults=(False,))
_ON = Property("boolean", defaults=(True,))
_OFF = Property("boolean", defaults=(False,))
_TEXT = Property("string", defaults=("",))
_LIFE = {
    "autoDeleteOnIdle": Property("duration", defaults=(FOREVER,), minimum=300),
    "defaultMessageTimeToLive": Property("duration", defaults=(FOREVER,), minimum=1),
    "enableBatchedOperations": _ON,
    "status": Property(
        "string", defaults=("Active",), choices=("Active", "Disabled", "SendDisabled", "ReceiveDisabled")
    ),
    "userMetadata": _TEXT,
}
_DELIVERY = {
    "deadLetteringOnMessageExpiration": _OFF,
    "forwardDeadLetteredMessagesTo": _TEXT,
    "forwardTo": _TEXT,
    "lockDuration": Property("duration", defaults=("PT1M",), maximum=300),
    "maxDeliveryCount": Property("integer", defaults=(10,), minimum=1, maximum=2000),
}
_STORAGE = {
    "duplicateDetectionHistoryTimeWindow": Property("duration", defaults=("PT10M",), maximum=7 * 86_400),
    "enablePartitioning": _FIXED,
    "maxMessageSizeInKilobytes": Property("integer", defaults=(1024, 256), minimum=1),  # Premium; the others
    "maxSizeInMegabytes": Property("integer", defaults=(1024,), minimum=1),
    "requiresDuplicateDetection": _FIXED,
}

QUEUE = {"queueName": _NAME, "requiresSession": _FIXED, **_LIFE, **_DELIVERY, **_STORAGE}
TOPIC = {
    "topicName": _NAME,
    "supportOrdering": Property("boolean", defaults=(True, False)),  # false of a partitioned one
    **_LIFE,
    **_STORAGE,
}
SUBSCRIPTION = {
    "topicName": _NAME,
    "subscriptionName": _NAME,
    "deadLetteringOnFilterEvaluationExceptions": _ON,
    "requiresSession": _FIXED,  # Azure Resource Manager refuses the change; here the subscription is made anew
    **_LIFE,
    **_DELIVERY,
}
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

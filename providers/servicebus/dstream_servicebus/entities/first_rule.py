"""Creates subscriptions that receive nothing before their rules exist, through the administration endpoint.

By default, a new subscription receives every message. Status ReceiveDisabled would not help: a disabled subscription
still receives, and its rules can't be changed (Microsoft: "EntityStatus Enumeration"). But the endpoint accepts another
first rule (`DefaultRuleDescription`), as .NET's `CreateSubscriptionAsync(options, rule)` sends it. azure-servicebus
7.15 for Python has no parameter for it (azure-sdk-for-python#15171), so the transport inserts it into the request.
"""

from __future__ import annotations

import re
from typing import Any

from azure.core.pipeline.transport import RequestsTransport

_NOTHING = (
    b'<DefaultRuleDescription><Filter xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:type="FalseFilter">'
    b"<SqlExpression>1=0</SqlExpression><CompatibilityLevel>20</CompatibilityLevel></Filter>"
    b'<Action xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:type="EmptyRuleAction"/>'
    b"<Name>$Default</Name></DefaultRuleDescription>"
)
_LATER = re.compile(
    rb"<(?:MaxDeliveryCount|EnableBatchedOperations|Status|ForwardTo|UserMetadata|ForwardDeadLetteredMessagesTo"
    rb"|AutoDeleteOnIdle)\b|</SubscriptionDescription>"
)
"""What follows it; the service depends on the order (azure-sdk-for-net, SubscriptionPropertiesExtensions.Serialize)."""
_EMPTY = re.compile(rb"<SubscriptionDescription([^>]*?)\s*/>")


class FirstRuleTransport(RequestsTransport):  # type: ignore[misc]  # azure-core imports it lazily
    """The SDK's transport; with the option `receives_nothing`, a subscription is created with a rule for nothing."""

    def send(self, request: Any, *, receives_nothing: bool = False, **options: Any) -> Any:
        if receives_nothing:
            request.body = request.data = with_first_rule(request.data)
            request.headers["Content-Length"] = str(len(request.data))
        return super().send(request, **options)


def with_first_rule(body: bytes) -> bytes:
    """Insert the rule into a request that creates a subscription; a retried request already has it."""
    if b"<DefaultRuleDescription>" in body:
        return body
    body = _EMPTY.sub(rb"<SubscriptionDescription\1></SubscriptionDescription>", body)
    found = _LATER.search(body)
    return body if found is None else body[: found.start()] + _NOTHING + body[found.start() :]

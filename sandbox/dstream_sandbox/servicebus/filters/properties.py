"""A message's properties for filters and actions: system properties by name, user properties by key."""

from __future__ import annotations

from collections.abc import Mapping

from dstream_sandbox.servicebus.core import Message
from dstream_sandbox.servicebus.filters.errors import FilterSyntaxError

__all__ = ["MessageProperties", "system_property"]

_SYSTEM = {
    "messageid": "message-id",
    "correlationid": "correlation-id",
    "to": "to",
    "replyto": "reply-to",
    "label": "subject",
    "subject": "subject",
    "sessionid": "group-id",
    "replytosessionid": "reply-to-group-id",
    "contenttype": "content-type",
}
"""AMQP properties by their names in expressions (Microsoft, "Messages, payloads, and serialization")."""


def system_property(name: str) -> str:
    """Return the AMQP property of `sys.NAME`. Raises FilterSyntaxError for an unknown name."""
    found = _SYSTEM.get(name.lower())
    if found is None:
        raise FilterSyntaxError(f"Invalid system property name '{name}'.")
    return found


class MessageProperties:
    """The properties, decoded at most once for all rules of a subscription."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self._system: Mapping[str, object] | None = None
        self._user: Mapping[str, object] | None = None

    @property
    def system(self) -> Mapping[str, object]:
        if self._system is None:
            self._system = self._message.properties()
        return self._system

    @property
    def user(self) -> Mapping[str, object]:
        if self._user is None:
            self._user = self._message.application_properties()
        return self._user

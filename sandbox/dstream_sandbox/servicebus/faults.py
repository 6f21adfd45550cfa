"""Fault injection: the failures of a real namespace, for tests and for users who want to test their clients.

Add a fault with `Faults.add`, or as JSON through `handle` (the admin port's `/_sandbox/faults`). Links (`nodes/`) and
connections apply the faults.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Literal, get_args

from dstream_sandbox.fault_list import FaultList
from dstream_sandbox.servicebus.core import AmqpError, Message

__all__ = ["Fault", "FaultKind", "Faults", "Moment", "Operation", "Side"]

FaultKind = Literal[
    "reject",
    "release",
    "refuse_attach",
    "deny_token",
    "detach",
    "drop",
    "kill",
    "silence",
    "delay",
    "throttle",
    "stall",
    "slow",
    "refuse_connection",
    "azure",
    "hide_rule",
]
Operation = Literal["create", "read", "update", "delete", "list_keys"]
Side = Literal["send", "receive"]
Moment = Literal["idle", "before_store", "after_store"]
_MOMENTS: dict[FaultKind, tuple[Moment, ...]] = {
    "reject": ("before_store", "after_store"),
    "release": ("before_store", "after_store"),
    "detach": ("before_store", "after_store", "idle"),
    "drop": ("after_store", "before_store", "idle"),
    "kill": ("after_store", "before_store"),
    "silence": ("after_store", "before_store"),
}
"""When a kind can apply; the first is the default."""
_BUSY = "com.microsoft:server-busy"
_THROTTLED = (
    "The request was terminated because the entity is being throttled. Error code: 50009. "
    "Please wait 2 seconds and try again."
)


@dataclass(slots=True)
class Fault:
    """One fault: what happens, where, and how often. Raises ValueError for invalid values."""

    kind: FaultKind
    entity: str | None = None
    """Path of the entity; default: all. `stall`, `slow` and `refuse_connection` affect whole connections."""
    on: Side = "send"
    """The affected links: those that send, or those that receive and settle."""
    times: int | None = None
    """How often the fault applies; default: until cleared."""
    after: int = 0
    """Number of operations to let through first."""
    at: Moment | None = None
    """For the kinds in `_MOMENTS`: before storing, or after storing but before responding. `idle`: at once, to open
    links, so add such a fault while nothing is in flight."""
    condition: str = _BUSY
    """For `reject`, `refuse_attach` and `detach`: the AMQP error condition."""
    description: str = ""
    message_id: str = ""
    """For `reject`: only transfers that contain a message with this id."""
    status: int = 401
    """For `deny_token`: the status code of $cbs."""
    seconds: float = 0.0
    """For `delay`: the delay of responses. For `stall`: how long nothing is read (0: until cleared). For `hide_rule`:
    how long the rule cannot be read.
    """
    rate: float = 1000.0
    """For `throttle`: credits per second. A message sent costs one; without credits it is refused as server-busy.
    For `slow`: octets read per second.
    """
    operation: Operation = "create"
    """For `azure`: the engine's request. `entity` is then a pattern, such as `orders-*`."""
    code: str = ""
    """For `azure`: Azure's error code, such as QuotaExceeded; without a code, only the delay of `seconds` applies."""
    when: Literal["before", "after"] = "before"
    """For `azure`: before the operation, or after it but before responding."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            raise ValueError(f"kind must be one of {', '.join(get_args(FaultKind))}")
        if self.on not in get_args(Side):
            raise ValueError("on must be send or receive")
        moments = _MOMENTS.get(self.kind, ())
        if self.at is None and moments:
            self.at = moments[0]
        elif self.at not in (None, *moments):
            raise ValueError(
                f"at of {self.kind} must be {' or '.join(moments)}" if moments else f"{self.kind} has no at"
            )
        if self.at == "idle" and self.on != "send":
            raise ValueError("only links that send can have a fault while idle")
        if self.operation not in get_args(Operation):
            raise ValueError(f"operation must be one of {', '.join(get_args(Operation))}")
        if self.when not in ("before", "after"):
            raise ValueError("when must be before or after")
        if self.kind == "azure" and not self.code and not self.seconds:
            raise ValueError("an azure fault needs a code or seconds")
        if self.times is not None and self.times < 1:
            raise ValueError("times must be at least 1")
        if self.message_id and self.kind != "reject":
            raise ValueError("only a reject fault can have a message_id")
        if self.after < 0 or self.seconds < 0 or self.rate <= 0:
            raise ValueError("after and seconds must not be negative, and rate must be positive")

    def concerns(self, path: str) -> bool:
        if self.kind == "azure":
            return self.entity is None or fnmatch(path.lower(), self.entity.strip("/").lower())
        return self.entity is None or self.entity.strip("/").lower() == path.lower()

    def error(self) -> AmqpError:
        text = self.description or f"The sandbox injected the error {self.condition}."
        return AmqpError(self.condition, text)


class Faults(FaultList[Fault]):
    """The active faults. `on_change` applies them to open connections immediately."""

    def __init__(self) -> None:
        super().__init__(Fault)
        self._credits: dict[int, tuple[int, float]] = {}
        """Of each `throttle`, by its id: the second, and the credits left in it. Negative: owed."""

    def clear(self) -> None:
        self._credits.clear()
        super().clear()

    def active(self, kind: FaultKind) -> Fault | None:
        """The first fault of this kind. Does not count as an application."""
        return next((rule for rule in self._rules if rule.kind == kind), None)

    def strike(
        self,
        kind: FaultKind,
        path: str = "",
        *,
        on: Side = "send",
        at: Moment | None = None,
        messages: Sequence[Message] = (),
    ) -> Fault | None:
        """Return the fault that applies to this operation, and count it."""
        return self.first(
            lambda rule: (
                rule.kind == kind
                and rule.on == on
                and (at is None or rule.at == at)
                and rule.concerns(path)
                and (not rule.message_id or any(each.message_id == rule.message_id for each in messages))
            )
        )

    def strike_azure(self, operation: Operation, path: str, when: Literal["before", "after"]) -> Fault | None:
        """Return the `azure` fault that applies to this request of the Pulumi engine, and count it."""
        return self.first(
            lambda rule: (
                rule.kind == "azure" and rule.operation == operation and rule.when == when and rule.concerns(path)
            )
        )

    def throttled(self, path: str, messages: int, now: float) -> AmqpError | None:
        """Charge a send to the credits, which are renewed at the start of each second, as in a Standard namespace
        (Microsoft, "Throttling operations on Azure Service Bus"). All entities of the fault share them.

        Microsoft does not say what happens to a batch of more messages than there are credits left. Here it is refused,
        unless no second could pay for it: with all credits left it is accepted, and the next seconds pay for the rest.
        """
        rule = self.active("throttle")
        if rule is None or not rule.concerns(path):
            return None
        second = math.floor(now)
        last, credits_left = self._credits.get(id(rule), (second, rule.rate))
        credits_left = min(rule.rate, credits_left + (second - last) * rule.rate)
        is_refused = messages > credits_left and credits_left < rule.rate
        self._credits[id(rule)] = (second, credits_left if is_refused else credits_left - messages)
        return AmqpError(_BUSY, _THROTTLED) if is_refused else None

"""Fault injection: the failures of a real namespace, for tests and for users who want to test their clients.

Add a fault with `Faults.add`, or as JSON through `handle` (the admin port's `/_sandbox/faults`): POST adds the fault in
the body, GET lists, and DELETE or POST `{"clear": true}` clears. Links (`nodes/`) and connections apply the faults.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatch
from typing import Literal, get_args

from dstream_sandbox.servicebus.core import AmqpError

__all__ = ["Fault", "FaultKind", "Faults", "Operation", "Side"]

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
_BUSY = "com.microsoft:server-busy"


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
    at: Literal["before_store", "after_store"] = "after_store"
    """For `drop` (the connection) and `kill` (the server): before storing, or after storing but before responding."""
    condition: str = _BUSY
    """For `reject`, `refuse_attach` and `detach`: the AMQP error condition."""
    description: str = ""
    status: int = 401
    """For `deny_token`: the status code of $cbs."""
    seconds: float = 0.0
    """For `delay`: the delay of responses. For `stall`: how long nothing is read (0: until cleared). For `hide_rule`:
    how long the rule cannot be read.
    """
    rate: float = 1000.0
    """For `throttle`: messages per second before `reject` with server-busy. For `slow`: octets read per second."""
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
        if self.at not in ("before_store", "after_store"):
            raise ValueError("at must be before_store or after_store")
        if self.operation not in get_args(Operation):
            raise ValueError(f"operation must be one of {', '.join(get_args(Operation))}")
        if self.when not in ("before", "after"):
            raise ValueError("when must be before or after")
        if self.kind == "azure" and not self.code and not self.seconds:
            raise ValueError("an azure fault needs a code or seconds")
        if self.times is not None and self.times < 1:
            raise ValueError("times must be at least 1")
        if self.after < 0 or self.seconds < 0 or self.rate <= 0:
            raise ValueError("after and seconds must not be negative, and rate must be positive")

    def concerns(self, path: str) -> bool:
        if self.kind == "azure":
            return self.entity is None or fnmatch(path.lower(), self.entity.strip("/").lower())
        return self.entity is None or self.entity.strip("/").lower() == path.lower()

    def error(self) -> AmqpError:
        text = self.description or f"The sandbox injected the error {self.condition}."
        return AmqpError(self.condition, text)


class Faults:
    """The active faults. `on_change` is called after each change, to apply it to open connections immediately."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self.on_change: Callable[[], None] = lambda: None
        self._buckets: dict[int, tuple[float, float]] = {}

    def add(self, fault: Fault) -> None:
        self._rules.append(fault)
        self.on_change()

    def clear(self) -> None:
        self._rules.clear()
        self._buckets.clear()
        self.on_change()

    def __bool__(self) -> bool:
        return bool(self._rules)

    def active(self, kind: FaultKind) -> Fault | None:
        """The first fault of this kind. Does not count as an application."""
        return next((rule for rule in self._rules if rule.kind == kind), None)

    def strike(self, kind: FaultKind, path: str = "", *, on: Side = "send", at: str | None = None) -> Fault | None:
        """Return the fault that applies to this operation, and count it."""
        return self._strike(path, lambda rule: rule.kind == kind and rule.on == on and (at is None or rule.at == at))

    def _strike(self, path: str, applies: Callable[[Fault], bool]) -> Fault | None:
        for rule in self._rules:
            if not applies(rule) or not rule.concerns(path):
                continue
            if rule.after:
                rule.after -= 1
                continue
            if rule.times is not None:
                rule.times -= 1
                if rule.times == 0:
                    self._rules.remove(rule)
            return rule
        return None

    def strike_azure(self, operation: Operation, path: str, when: Literal["before", "after"]) -> Fault | None:
        """Return the `azure` fault that applies to this request of the Pulumi engine, and count it."""
        return self._strike(
            path, lambda rule: rule.kind == "azure" and rule.operation == operation and rule.when == when
        )

    def throttled(self, path: str, messages: int, now: float) -> AmqpError | None:
        """Apply a budget per second, like a Standard namespace's credits (Microsoft, "Throttling operations on Azure
        Service Bus"): messages that exceed it are refused until the second is over."""
        rule = self.active("throttle")
        if rule is None or not rule.concerns(path):
            return None
        second, used = self._buckets.get(id(rule), (now, 0.0))
        if now - second >= 1.0:
            second, used = now, 0.0
        if used > 0 and used + messages > rule.rate:
            self._buckets[id(rule)] = (second, used)
            return AmqpError(
                _BUSY, "The request was terminated because the namespace is being throttled. Error code: 50009."
            )
        self._buckets[id(rule)] = (second, used + messages)
        return None

    def handle(self, method: str, body: bytes) -> tuple[int, bytes]:
        """Handle a control request. Return the status and the JSON response."""
        if method not in ("GET", "POST", "DELETE"):
            return 405, _json({"error": f"method {method} is not allowed"})
        if method == "DELETE":
            self.clear()
        elif method == "POST":
            try:
                self._post(json.loads(body))
            except (TypeError, ValueError) as exc:
                return 400, _json({"error": str(exc)})
        return 200, _json({"faults": [asdict(rule) for rule in self._rules]})

    def _post(self, request: object) -> None:
        if not isinstance(request, dict):
            raise ValueError("a fault must be a JSON object")
        if request == {"clear": True}:
            self.clear()
            return
        for name, value in request.items():
            expected = _TYPES.get(name)
            if expected is None:
                raise ValueError(f"unknown field {name} of a fault; use {', '.join(_TYPES)}")
            if isinstance(value, bool) or not isinstance(value, expected):
                raise ValueError(f"{name} cannot be {json.dumps(value)}")
        if "kind" not in request:
            raise ValueError("a fault needs a kind")
        self.add(Fault(**request))


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


_NUMBERS: dict[str, type | tuple[type, ...]] = {
    "times": int,
    "after": int,
    "status": int,
    "seconds": (int, float),
    "rate": (int, float),
}
_TYPES: dict[str, type | tuple[type, ...]] = {field.name: _NUMBERS.get(field.name, str) for field in fields(Fault)}

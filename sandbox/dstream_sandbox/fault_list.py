"""Injected faults of one server, and their JSON form: POST adds the fault in the body, GET lists, DELETE or POST
`{"clear": true}` clears."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    class LimitedFault(DataclassInstance, Protocol):
        """A mutable dataclass that raises ValueError for invalid values. Fields without a number type are text."""

        times: int | None
        after: int


FAULTS_PATH = "/_sandbox/faults"

_NUMBERS: dict[str, type | tuple[type, ...]] = {
    "times": int,
    "after": int,
    "status": int,
    "number": int,
    "seconds": (int, float),
    "rate": (int, float),
}

F = TypeVar("F", bound="LimitedFault")


class FaultList(Generic[F]):
    """The active faults, in the order in which they were added. `on_change` is called after each change."""

    def __init__(self, fault_type: type[F]) -> None:
        self._fault_type = fault_type
        self._types = {field.name: _NUMBERS.get(field.name, str) for field in fields(fault_type)}
        self._lock = threading.Lock()
        self._rules: list[F] = []
        self.on_change: Callable[[], None] = lambda: None

    def add(self, fault: F) -> None:
        with self._lock:
            self._rules.append(fault)
        self.on_change()

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()
        self.on_change()

    def __bool__(self) -> bool:
        return bool(self._rules)

    def first(self, applies: Callable[[F], bool]) -> F | None:
        """Return the first fault that applies, and count it."""
        with self._lock:
            for rule in self._rules:
                if not applies(rule):
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
            expected = self._types.get(name)
            if expected is None:
                raise ValueError(f"unknown field {name} of a fault; use {', '.join(self._types)}")
            if isinstance(value, bool) or not isinstance(value, expected):
                raise ValueError(f"{name} cannot be {json.dumps(value)}")
        if "kind" not in request:
            raise ValueError("a fault needs a kind")
        self.add(self._fault_type(**request))


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()

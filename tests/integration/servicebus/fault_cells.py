"""The faults of a namespace, the moments at which they strike, and what the publisher must do in each case."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from azure.servicebus import ServiceBusReceivedMessage

from dstream.errors import DStreamError
from tests.integration.servicebus.broker import Broker, bodies, event, publishing

Moment = Literal["opening", "before_store", "after_store", "idle"]
"""While a link is opened; while a batch is in flight, before or after it is stored; while nothing is in flight."""
Kind = Literal["queue", "session queue", "topic"]
Requests = tuple[dict[str, Any], ...]

MOMENTS: tuple[Moment, ...] = ("opening", "before_store", "after_store", "idle")
KINDS: tuple[Kind, ...] = ("queue", "session queue", "topic")
TABLES = ("dbo.Cars", "dbo.Vans")
LINES = [event(n, table) for n, table in zip(range(400), itertools.cycle(TABLES), strict=False)]
BEFORE = 50
"""Lines that are published before the fault."""
TOGETHER = 8
"""Cells that run concurrently: each mostly waits, on its own entity."""

_TRANSIENT = (
    "com.microsoft:server-busy",
    "com.microsoft:timeout",
    "com.microsoft:operation-cancelled",
    "com.microsoft:container-close",
    "amqp:internal-error",
    "amqp:resource-limit-exceeded",
    "amqp:connection:forced",
    "amqp:link:detach-forced",
)
_STOPPING = {
    "amqp:not-found": "servicebus.entity_not_found",
    "amqp:unauthorized-access": "servicebus.unauthorized",
    "com.microsoft:auth-failed": "servicebus.unauthorized",
    "com.microsoft:entity-disabled": "servicebus.entity_disabled",
}
_REFUSING = (
    "amqp:not-allowed",
    "amqp:not-implemented",
    "com.microsoft:argument-error",
    "com.microsoft:argument-out-of-range",
)


def _of_condition(condition: str) -> dict[Moment, Requests]:
    return {
        "opening": ({"kind": "refuse_attach", "condition": condition}, {"kind": "drop", "at": "idle"}),
        "before_store": ({"kind": "reject", "condition": condition, "after": 1},),
        "after_store": ({"kind": "reject", "condition": condition, "at": "after_store", "after": 1},),
        "idle": ({"kind": "detach", "condition": condition, "at": "idle"},),
    }


def _only(moments: Sequence[Moment], requests: dict[Moment, Requests]) -> dict[Moment, Requests]:
    return {moment: requests[moment] for moment in moments}


FAULTS: dict[str, dict[Moment, Requests]] = {
    **{condition: _of_condition(condition) for condition in _TRANSIENT},
    **{condition: _only(("opening", "before_store", "idle"), _of_condition(condition)) for condition in _STOPPING},
    **{condition: _only(("opening", "before_store", "idle"), _of_condition(condition)) for condition in _REFUSING},
    "amqp:link:message-size-exceeded": _only(("before_store",), _of_condition("amqp:link:message-size-exceeded")),
    "link detached": {
        "before_store": ({"kind": "detach", "condition": "amqp:internal-error", "after": 1},),
        "after_store": ({"kind": "detach", "condition": "amqp:internal-error", "at": "after_store", "after": 1},),
    },
    "connection lost": {
        "before_store": ({"kind": "drop", "at": "before_store", "times": 2, "after": 1},),
        "after_store": ({"kind": "drop", "at": "after_store", "times": 2, "after": 1},),
        "idle": ({"kind": "drop", "at": "idle"},),
    },
    "no answer": {
        "before_store": ({"kind": "silence", "at": "before_store", "after": 1},),
        "after_store": ({"kind": "silence", "at": "after_store", "after": 1},),
    },
    "late answer": {"after_store": ({"kind": "delay", "seconds": 3, "after": 1},)},
    "released": {
        "before_store": ({"kind": "release", "after": 1},),
        "after_store": ({"kind": "release", "at": "after_store", "after": 1},),
    },
    "token service unavailable": {
        "opening": ({"kind": "deny_token", "status": 503}, {"kind": "drop", "at": "idle"}),
    },
}
"""By name and moment: what to request from the sandbox. A condition that means that nothing was stored does not strike
after storing."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A fault at a moment on a kind of entity."""

    fault: str
    moment: Moment
    kind: Kind
    detects_duplicates: bool

    @property
    def stops_with(self) -> str | None:
        """The code of the error that ends the run; None if the publisher must ride it out."""
        if self.moment == "idle":
            return None
        if self.moment == "opening" and self.fault in _REFUSING:
            return "servicebus.refused"
        return _STOPPING.get(self.fault)


def every_cell() -> Iterator[Cell]:
    for (fault, moments), kind, detects in itertools.product(FAULTS.items(), KINDS, (False, True)):
        yield from (Cell(fault, moment, kind, detects) for moment in moments)


def covering_cells() -> Iterator[Cell]:
    """Each fault once, and every moment and kind of entity, each with and without duplicate detection."""
    for number, (fault, moments) in enumerate(FAULTS.items()):
        moment = tuple(moments)[number % len(moments)]
        yield Cell(fault, moment, KINDS[number % len(KINDS)], number // len(KINDS) % 2 == 0)


def withstand_all(broker: Broker, cells: Sequence[Cell], new_name: Callable[[], str]) -> dict[Cell, float]:
    """Run the cells; return the seconds from each fault until everything was published."""
    with ThreadPoolExecutor(TOGETHER) as pool:
        return dict(zip(cells, pool.map(lambda cell: _withstand(broker, cell, new_name()), cells), strict=True))


def _withstand(broker: Broker, cell: Cell, name: str) -> float:
    _create(broker, cell, name)
    settings: dict[str, Any] = {"topic" if cell.kind == "topic" else "queue": name}
    settings |= {"session": "table"} if cell.kind != "queue" else {}
    settings |= {"batch": {"max_messages": 40}}
    settings |= (
        {"concurrency": 1} if cell.moment in ("opening", "idle") else {}
    )  # so that the fault meets the link in use
    with publishing(broker, **settings) as run:
        run.publish(LINES[:BEFORE])
        for request in FAULTS[cell.fault][cell.moment]:
            broker.fault(**{"times": 1, **request}, entity=name)
        started = time.monotonic()
        stopped_with = None
        try:
            run.publish(LINES[BEFORE:])
        except DStreamError as error:
            stopped_with = error.code
        recovered_s = time.monotonic() - started
    assert stopped_with == cell.stops_with, cell
    assert not [each for each in broker.faults() if each["entity"] == name], f"{cell} did not strike"
    if stopped_with is not None:  # the checkpoint is that of the first lines: the next run sends all others
        with publishing(broker, **settings) as run:
            run.publish(LINES[BEFORE:])
    for session, messages in _arrived(broker, cell, name).items():
        _check(cell, [line for line in LINES if session.encode() in line], messages)
    return recovered_s


def _check(cell: Cell, sent: list[bytes], messages: Sequence[ServiceBusReceivedMessage]) -> None:
    arrived = bodies(messages)
    first = list(dict.fromkeys(arrived))
    assert first == sent, f"{cell}: {len(sent) - len(first)} lost, or out of order"
    assert len({(str(each.message_id), body) for each, body in zip(messages, arrived, strict=True)}) == len(sent), cell
    if cell.detects_duplicates:
        assert arrived == first, f"{cell}: repeats"


def _create(broker: Broker, cell: Cell, name: str) -> None:
    detects = {"requires_duplicate_detection": cell.detects_duplicates}
    if cell.kind != "topic":
        broker.create_queue(name, requires_session=cell.kind == "session queue", **detects)
        return
    with broker.administration() as administration:
        administration.create_topic(name, **detects)
        administration.create_subscription(name, "all")


def _arrived(broker: Broker, cell: Cell, name: str) -> dict[str, list[ServiceBusReceivedMessage]]:
    """The messages of each session, in order; all under "" without sessions."""
    half = len(LINES) // len(TABLES)
    if cell.kind == "queue":
        return {"": broker.receive(name, len(LINES))}
    if cell.kind == "session queue":
        return {table: broker.receive(name, half, session_id=table) for table in TABLES}
    messages = broker.receive_subscription(name, "all", len(LINES))
    return {table: [each for each in messages if each.session_id == table] for table in TABLES}

"""Links on which clients receive from an entity, its dead-letter queue, or one of its sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dstream_sandbox.servicebus.amqp import performatives
from dstream_sandbox.servicebus.amqp.container import Settlement
from dstream_sandbox.servicebus.amqp.link import OutgoingLink
from dstream_sandbox.servicebus.amqp.performatives import Attach, Code
from dstream_sandbox.servicebus.amqp.values import Described, Symbol
from dstream_sandbox.servicebus.core import ANY_SESSION, AmqpError, Broker, Outcome, ReceiveMode, Receiver
from dstream_sandbox.servicebus.counters import Counters
from dstream_sandbox.servicebus.faults import Faults
from dstream_sandbox.servicebus.nodes.client import Client
from dstream_sandbox.servicebus.nodes.interference import Interference
from dstream_sandbox.servicebus.nodes.rendering import render
from dstream_sandbox.servicebus.nodes.requests import Spawn

__all__ = ["EntityReceiver", "attach_receiver"]

SESSION_FILTER = "com.microsoft:session-filter"
_SETTLED_MODE = 1
_TAKE_AT_ONCE = 100
_SESSION_WAIT_S = 60.0  # the service's default operation timeout
_TICKS_AT_EPOCH = 621_355_968_000_000_000  # .NET ticks of 100 ns from year 1


async def attach_receiver(
    link: OutgoingLink,
    path: str,
    client: Client,
    *,
    broker: Broker,
    faults: Faults,
    counters: Counters,
    spawn: Spawn,
) -> None:
    """Claim the entity or session that the link requests, waiting for a free session if necessary, and serve it."""
    attach = link.attach
    mode: ReceiveMode = "receive_and_delete" if attach.snd_settle_mode == _SETTLED_MODE else "peek_lock"
    wanted = _session_filter(attach)
    try:
        broker.require(path, for_send=False)
        receiver = await asyncio.wait_for(
            broker.receiver(path, mode, wanted.session if wanted else None), _session_wait_s(attach)
        )
    except AmqpError as exc:
        link.refuse(exc)
        return
    except TimeoutError:
        link.refuse(AmqpError("com.microsoft:timeout", "No session with messages became free in time."))
        return
    if link.closed:
        receiver.close()
        return
    server = EntityReceiver(link, path, mode, receiver, client, broker, faults, counters, spawn)
    if wanted is None or attach.source is None or receiver.session_id is None:
        link.accept(server)
    else:
        filters = {**attach.source.filters, wanted.key: wanted.with_id(receiver.session_id)}
        until = receiver.session_locked_until or 0.0
        ticks: dict[object, object] = {
            Symbol("com.microsoft:locked-until-utc"): int(until * 10_000_000) + _TICKS_AT_EPOCH
        }
        link.accept(server, source=attach.source.with_filters(filters), properties=ticks)
    server.start()


class EntityReceiver:
    def __init__(
        self,
        link: OutgoingLink,
        path: str,
        mode: ReceiveMode,
        receiver: Receiver,
        client: Client,
        broker: Broker,
        faults: Faults,
        counters: Counters,
        spawn: Spawn,
    ) -> None:
        self._link = link
        self._path = path
        self._settled = mode == "receive_and_delete"
        self._receiver = receiver
        self._client = client
        self._broker = broker
        self._interference = Interference(faults, link, path, "receive")
        self._counters = counters
        self._spawn = spawn
        self._tag = 0

    def start(self) -> None:
        self._receiver.on_available(self._link.offer)
        self._receiver.on_lost(self._link.detach)
        self._link.offer()

    def on_credit(self) -> bool:
        fault = self._interference.strike("detach") if self._interference else None
        try:
            self._client.require(self._path, "Listen")  # tokens can expire while the link is open
            if fault is not None:
                raise fault.error()
        except AmqpError as exc:
            self._link.detach(exc)
            return False
        while (room := self._link.sendable) > 0:
            wanted = min(room, _TAKE_AT_ONCE)
            deliveries = self._receiver.take(wanted)
            for delivery in deliveries:
                tag = delivery.lock_token or self._next_tag()
                self._link.send(tag, render(delivery), settled=self._settled)
            self._counters.delivered += len(deliveries)
            if len(deliveries) < wanted:
                break
        return self._receiver.pending > 0

    def on_settlement(self, settlement: Settlement) -> None:
        if self._interference and not self._interference.lets_store():
            return
        self._spawn(self._settle(settlement, _verdict(settlement.state)))

    def on_closed(self) -> None:
        self._receiver.close()

    async def _settle(self, settlement: Settlement, verdict: _Verdict) -> None:
        """Respond after the commit, once per run of deliveries with the same result."""
        results = await asyncio.gather(*(self._settle_one(tag, verdict) for _, tag in settlement.deliveries))
        if self._interference and not await self._interference.lets_answer():
            return
        if settlement.settled:
            return
        state = _echo(settlement.state)
        for first, last, failure in _runs([delivery_id for delivery_id, _ in settlement.deliveries], results):
            self._link.settled(first, last, performatives.rejected(failure) if failure else state)

    async def _settle_one(self, tag: bytes, verdict: _Verdict) -> AmqpError | None:
        try:
            await self._broker.settle(
                self._path,
                tag,
                verdict.outcome,
                reason=verdict.reason,
                description=verdict.description,
                properties=verdict.properties,
            )
        except AmqpError as exc:
            return exc
        return None

    def _next_tag(self) -> bytes:
        self._tag += 1
        return self._tag.to_bytes(16, "big")


def _echo(state: Described | None) -> Described:
    """The applied outcome, without fields: SDKs interpret a rejected outcome with an error as a failed settlement."""
    return performatives.RELEASED if state is None else Described(state.descriptor, [])


@dataclass(frozen=True, slots=True)
class _Verdict:
    outcome: Outcome
    reason: str = ""
    description: str = ""
    properties: Mapping[str, object] = field(default_factory=dict)


def _verdict(state: Described | None) -> _Verdict:
    """The Service Bus settlement for an AMQP outcome (Microsoft, "AMQP 1.0 protocol guide", receive and settle)."""
    code = performatives.code_of(state)
    if state is None or code not in (Code.ACCEPTED, Code.REJECTED, Code.MODIFIED):
        return _Verdict("release")
    if code == Code.ACCEPTED:
        return _Verdict("complete")
    if code == Code.MODIFIED:
        fields = state.value if isinstance(state.value, list) else []
        defer = len(fields) > 1 and fields[1] is True
        changes = fields[2] if len(fields) > 2 and isinstance(fields[2], dict) else {}
        return _Verdict("defer" if defer else "abandon", properties={str(k): v for k, v in changes.items()})
    error = performatives.error_of(state)
    if error is None:
        return _Verdict("dead_letter")
    info = {key: value for key, value in error.info.items() if value is not None}
    reason = info.pop("DeadLetterReason", "")
    description = info.pop("DeadLetterErrorDescription", error.description)
    return _Verdict("dead_letter", str(reason), str(description), info)


@dataclass(frozen=True, slots=True)
class _SessionFilter:
    """The session requested by an attach. The reply has the same form: Go uses a described value, others do not."""

    key: object
    value: object

    @property
    def session(self) -> str | object:
        value = self.value.value if isinstance(self.value, Described) else self.value
        return ANY_SESSION if value is None else str(value)

    def with_id(self, session_id: str) -> object:
        return Described(self.value.descriptor, session_id) if isinstance(self.value, Described) else session_id


def _session_filter(attach: Attach) -> _SessionFilter | None:
    for key, value in attach.source.filters.items() if attach.source else ():
        if key == SESSION_FILTER:
            return _SessionFilter(key, value)
    return None


def _session_wait_s(attach: Attach) -> float:
    """The client's timeout, from the link property com.microsoft:timeout (in milliseconds)."""
    for key, value in attach.properties.items():
        if key == "com.microsoft:timeout" and isinstance(value, int):
            return value / 1000
    return _SESSION_WAIT_S


def _runs(ids: Sequence[int], results: Sequence[AmqpError | None]) -> Iterator[tuple[int, int, AmqpError | None]]:
    """The first and last id of each run of consecutive successes, and of each single failure."""
    start = 0
    for index in range(1, len(ids) + 1):
        same = (
            index < len(ids)
            and ids[index] == ids[index - 1] + 1
            and results[index] is None
            and results[index - 1] is None
        )
        if not same:
            yield ids[start], ids[index - 1], results[start]
            start = index

"""The table of capacities in docs/concepts/delivery-guarantees.md: `python -m dstream_stacks.capacity_table`. Pure.

Its numbers come from `capacity`, as those of `plan` do. A test checks that the page contains the table.
"""

from __future__ import annotations

from dstream_stacks.capacity import CREDITS_PER_S, MB_PER_S_PER_UNIT, operations_per_message, transfers_per_message
from dstream_stacks.spec import Queue, Rule, ServiceBusSpec, Subscription, Topic

ROW_BYTES = 1_000
"""The size of the rows in the column for Premium."""

_HEAD = f"""\
| the task publishes to | operations per row | Basic and Standard: rows/s | Premium: rows/s per messaging unit, {ROW_BYTES:,} bytes per row |
|---|---|---|---|
"""  # noqa: E501
_RULES = (Rule(name="a", sql="1=1"), Rule(name="b", sql="1=1"))
_PACKED_ROWS = 10
_QUEUE = ServiceBusSpec(queues=(Queue(name="q"),))


def capacity_table() -> str:
    """One row per kind of entity, as Markdown."""
    return _HEAD + "".join(
        (
            _row("a queue", _QUEUE),
            _row(f"a queue, with `packing {{ rows_per_message = {_PACKED_ROWS} }}`", _QUEUE, _PACKED_ROWS),
            _row("a topic with 1 subscription", _topic(Subscription(name="s"))),
            _row("a topic with 3 subscriptions, each with a filter", _topic(*[Subscription(name="s")] * 3)),
            _row(
                "a topic with 3 subscriptions, each with two `rules`",
                _topic(*[Subscription(name="s", rules=_RULES)] * 3),
            ),
        )
    )


def _topic(*subscriptions: Subscription) -> ServiceBusSpec:
    return ServiceBusSpec(topics=(Topic(name="t", subscriptions=subscriptions),))


def _row(name: str, spec: ServiceBusSpec, rows_per_message: int = 1) -> str:
    operations = operations_per_message(spec)
    rows_by_credits = int(CREDITS_PER_S * rows_per_message / operations)
    rows_per_unit = MB_PER_S_PER_UNIT * 1_000_000 // (ROW_BYTES * transfers_per_message(spec))
    return f"| {name} | {operations / rows_per_message:,.6g} | {rows_by_credits:,} | {rows_per_unit:,} |\n"


if __name__ == "__main__":
    print(capacity_table(), end="")  # noqa: T201

from __future__ import annotations

from pathlib import Path

import pytest
from dstream_stacks.capacity import Load, capacity_lines, operations_per_message
from dstream_stacks.capacity_table import capacity_table
from dstream_stacks.properties import Tier
from dstream_stacks.spec import Namespace, Queue, Rule, ServiceBusSpec, Subscription, Topic

PAGE = Path(__file__).parents[3] / "docs" / "concepts" / "delivery-guarantees.md"
QUEUES = (Queue(name="orders"), Queue(name="returns"))
TOPIC = Topic(
    name="events",
    subscriptions=(
        Subscription(name="all"),
        Subscription(name="some", rules=(Rule(name="eu", sql="x=1"), Rule(name="us", sql="x=2"))),
    ),
)


def spec(
    tier: Tier | None, capacity: int | None = None, **entities: tuple[Queue, ...] | tuple[Topic, ...]
) -> ServiceBusSpec:
    return ServiceBusSpec(namespace=Namespace(name="sb-orders", tier=tier, capacity=capacity), **entities)  # type: ignore[arg-type]


def test_sending_receiving_and_each_filter_cost_one_operation_per_message() -> None:
    assert operations_per_message(spec("Standard", queues=QUEUES)) == 2
    # sent once; received twice; filters: the first subscription's default, the second's two and its match-nothing default
    assert operations_per_message(spec("Standard", topics=(TOPIC,))) == 1 + 2 + 4


def test_the_expected_rate_is_shown_with_the_capacity_of_the_tier() -> None:
    assert capacity_lines(spec("Standard", queues=QUEUES), Load(200)) == (
        "Standard supports 1,000 operations/s per namespace; this task needs about 400/s at 200 rows/s.",
    )


def test_packed_rows_need_fewer_operations() -> None:
    (line,) = capacity_lines(spec("Standard", queues=QUEUES), Load(2_000, rows_per_message=10))

    assert "needs about 400/s at 2,000 rows/s" in line


def test_a_load_above_the_capacity_is_reported_with_its_factor() -> None:
    _, warning = capacity_lines(spec("Basic", queues=QUEUES), Load(1_250))

    assert "2.5 times the capacity of Basic" in warning


def test_without_an_expected_rate_only_the_capacity_is_shown() -> None:
    assert capacity_lines(spec("Standard", queues=QUEUES), None) == (
        "Standard supports 1,000 operations/s per namespace; each message sent, each message received and each "
        "filter evaluated by a topic counts as one.",
    )


@pytest.mark.parametrize(("units", "too_much"), [(1, True), (4, False)])
def test_the_capacity_of_premium_is_in_bytes_per_messaging_unit(units: int, too_much: bool) -> None:
    lines = capacity_lines(spec("Premium", units, queues=QUEUES), Load(5_000, row_bytes=500))

    assert f"about {units * 4} MB/s" in lines[0]
    assert "needs about 5 MB/s at 5,000 rows/s of 500 bytes" in lines[0]
    assert (len(lines) == 2) == too_much


def test_nothing_is_shown_for_an_unknown_tier() -> None:
    assert capacity_lines(spec(None, queues=QUEUES), Load(5)) == ()
    assert capacity_lines(ServiceBusSpec(mode="entities", queues=QUEUES), Load(5)) == ()


def test_the_page_contains_the_table_of_capacities() -> None:
    assert capacity_table() in PAGE.read_text(encoding="utf-8"), (
        "paste the output of python -m dstream_stacks.capacity_table"
    )


@pytest.mark.parametrize(("tier", "rows_per_s"), [("Standard", 500), ("Premium", 2_000)])
def test_a_plan_warns_above_the_rates_in_the_table(tier: Tier, rows_per_s: int) -> None:
    assert f"| a queue | 2 | {500:,} | {2_000:,} |" in capacity_table()

    assert len(capacity_lines(spec(tier, queues=QUEUES), Load(rows_per_s, row_bytes=1_000))) == 1
    assert len(capacity_lines(spec(tier, queues=QUEUES), Load(rows_per_s + 1, row_bytes=1_000))) == 2


def test_the_page_shows_lines_that_plan_prints() -> None:
    topic = Topic(name="t", subscriptions=(Subscription(name="s"),) * 3)

    for line in capacity_lines(spec("Standard", topics=(topic,)), Load(200)):
        assert f"\n{line}\n" in PAGE.read_text(encoding="utf-8")

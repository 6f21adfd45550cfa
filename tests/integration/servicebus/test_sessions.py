"""Many sessions with skewed keys, through faults: the changes of each key arrive in order, once."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable

import pytest

from tests.bench.sessions import skewed_keys
from tests.integration.servicebus.broker import WAIT_S, Broker, bodies, event, publishing


@pytest.mark.parametrize(
    ("rows", "keys"), [(1500, 500), pytest.param(50_000, 10_000, marks=[pytest.mark.soak, pytest.mark.timeout(600)])]
)
def test_the_changes_of_each_key_stay_in_order(
    stormy: Broker, new_name: Callable[[], str], rows: int, keys: int
) -> None:
    topic = new_name()
    with stormy.administration() as administration:
        administration.create_topic(topic, requires_duplicate_detection=True)
        administration.create_subscription(topic, "all")
    sent: defaultdict[int, list[int]] = defaultdict(list)
    lines = []
    for number, key in enumerate(skewed_keys(rows, keys)):
        sent[key].append(number)
        lines.append(event(number, Key=key))
    stormy.fault(kind="drop", at="after_store", entity=topic, after=keys // 10, times=3)

    with publishing(stormy, topic=topic, session="{data.Key}") as run:
        writes = [run.write(lines[start : start + 500])[1] for start in range(0, rows, 500)]
        for write in writes:
            write.result(10 * WAIT_S)

    arrived: defaultdict[int, list[int]] = defaultdict(list)
    for body in bodies(stormy.receive_subscription(topic, "all", rows)):
        data = json.loads(body)["data"]
        arrived[data["Key"]].append(data["Id"])
    assert arrived == sent

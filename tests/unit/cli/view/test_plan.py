"""How plans, progress, results and drift are printed."""

from __future__ import annotations

import textwrap

import pytest

from dstream.cli.view.plan import (
    Widths,
    drift_view,
    folded,
    painter,
    plan_view,
    progress_line,
    result_line,
    under_way_line,
)
from dstream.protocol.lifecycle import ListedResource
from dstream.protocol.messages import Difference, Resource

PLAIN = painter(use_color=False)
QUEUE = "azure-native:servicebus:Queue"
RESOURCES = [
    ListedResource("orders", QUEUE, "create", diff=[Difference("maxDeliveryCount", None, 10)]),
    ListedResource("returns", QUEUE, "update", diff=[Difference("max_delivery_count", 10, 5)]),
    ListedResource("audit", QUEUE, "replace", diff=[Difference("sessions", False, True)], note="holds 1,284 messages"),
    ListedResource("reader", "azure-native:servicebus:AuthorizationRule", "delete"),
    ListedResource("events", "azure-native:servicebus:Topic", "same"),
]


WIDTHS = Widths.of(RESOURCES)


def text(block: str) -> str:
    return textwrap.dedent(block).lstrip("\n")


def test_a_plan_shows_each_resource_its_changes_and_the_counts() -> None:
    assert plan_view(RESOURCES, PLAIN) == text(
        """
          +   queue               orders    create
              max delivery count   10
          ~   queue               returns   update
              max delivery count   10 → 5
          -/+ queue               audit     replace, holds 1,284 messages
              sessions   off → on
          -   authorization rule  reader    delete
          =   topic               events    unchanged

        Plan: 1 to create, 1 to update, 1 to replace, 1 to delete, 1 unchanged.
        """
    )


def test_a_plan_without_changes_reports_no_changes() -> None:
    assert plan_view(RESOURCES[-1:], PLAIN).endswith("Plan: no changes, 1 unchanged.\n")


def test_colors_can_be_turned_off() -> None:
    assert "\x1b[32m" in plan_view(RESOURCES[:1], painter(use_color=True))
    assert "\x1b" not in plan_view(RESOURCES, PLAIN)


def test_drift_shows_recorded_and_actual_values() -> None:
    drifted = ListedResource("orders", QUEUE, "update", diff=[Difference("maxDeliveryCount", 10, 77)])
    gone = ListedResource("returns", QUEUE, "delete", note="deleted outside DStream")
    assert drift_view([drifted, gone, RESOURCES[-1]], PLAIN) == [
        "    ~ queue  orders",
        "        max delivery count   10 recorded, 77 actual",
        "    - queue  returns   deleted outside DStream",
    ]


def test_progress_shows_finished_and_failed_steps() -> None:
    assert progress_line(Resource("done", "update", "returns", QUEUE), 0.94, WIDTHS, PLAIN).split() == [
        "✓",
        "queue",
        "returns",
        "updated",
        "0.9s",
    ]
    failed = progress_line(Resource("failed", "create", "audit", QUEUE, note="quota"), 0.1, WIDTHS, PLAIN)
    assert failed.split() == ["!", "queue", "audit", "failed", "quota"]


def test_the_steps_under_way_are_named_with_what_is_done_and_how_long_it_takes() -> None:
    under_way = [
        Resource("started", "create", "orders", QUEUE),
        Resource("started", "delete", "audit", QUEUE),
        Resource("started", "create", "returns", QUEUE),
    ]
    assert under_way_line(under_way, 3, 1000, 12.4) == "  3 of 1,000 · 12s · creating orders, returns; deleting audit"
    assert under_way_line(under_way[:1], 0, 0, 0) == "  0s · creating orders"


def test_a_result_counts_finished_and_failed_steps() -> None:
    resources = [RESOURCES[0], RESOURCES[1], ListedResource("audit", QUEUE, "create", "failed")]
    assert result_line(resources, 3.42) == "Created 1, updated 1, failed 1 in 3.4 s."
    assert result_line([], 0.2) == "Done in 0.2 s."


def test_many_unchanged_resources_are_one_line() -> None:
    same = [ListedResource(f"queue-{number}", QUEUE, "same") for number in range(500)]
    lines = plan_view([RESOURCES[0], *same], PLAIN).splitlines()
    assert len(lines) == 5
    assert lines[2] == "  = 500 unchanged"
    assert lines[-1] == "Plan: 1 to create, 500 unchanged."


def test_data_loss_is_shown_with_the_flag_that_allows_it() -> None:
    losing = [
        ListedResource("audit", QUEUE, "replace", holds=1284, held="messages"),
        ListedResource("old", QUEUE, "delete", holds=1, held="messages"),
    ]
    text = plan_view(losing, PLAIN, message="Capacity: enough.")
    assert "replace, holds 1,284 messages that would be lost" in text
    assert text.endswith(
        "Capacity: enough.\nRefused by default: audit, old lose messages. Allow it with --allow-data-loss.\n"
    )


def test_allowed_data_loss_is_not_called_refused() -> None:
    losing = [ListedResource(f"audit-{number}", QUEUE, "delete", holds=1, held="messages") for number in range(500)]
    assert "Refused" not in plan_view(losing, PLAIN, allows_loss=True)
    assert "audit-9 and 490 more lose messages" in plan_view(losing, PLAIN)


@pytest.mark.parametrize("width", [40, 80, 160])
def test_output_wraps_to_the_terminal_width_without_losing_text(width: int) -> None:
    value = " ".join(f"word{number}" for number in range(60))
    resources = [
        ListedResource("orders", QUEUE, "create", diff=[Difference("sqlFilter", None, value)]),
        ListedResource("audit", QUEUE, "replace", note="holds 1,284 messages that would be lost", holds=1284),
    ]
    message = "Capacity: Standard supports 1,000 operations/s per namespace; this task needs about 240/s at 200 rows/s."
    text = plan_view(resources, PLAIN, message=message, width=width)
    assert max(map(len, text.splitlines())) <= width
    words_of = text.split()
    assert [word for word in words_of if word.startswith("word")] == value.split()
    assert " ".join(words_of).count(message) == 1


def test_without_a_terminal_a_value_is_one_line() -> None:
    resource = ListedResource("orders", QUEUE, "create", diff=[Difference("sqlFilter", None, "x " * 200)])
    assert len(plan_view([resource], PLAIN).splitlines()) == 4


@pytest.mark.parametrize("width", [80, None])
def test_no_line_of_a_value_looks_like_a_deletion(width: int | None) -> None:
    difference = Difference("filter", "a = 1\n- AND b", "a = 2\n- AND b")
    resources = [ListedResource("rule", QUEUE, "update", diff=[difference])]
    shown = plan_view(resources, PLAIN, width=width)
    assert "      filter   a = 1\n               - AND b\n               → a = 2\n               - AND b\n" in shown
    assert not any(line.startswith("-") for line in drift_view(resources, PLAIN))


def test_a_word_that_does_not_fit_after_the_indent_stays_indented() -> None:
    first, *below = folded(f"a\n{'w' * 38}", "      filter   ", 44)
    assert first == "      filter   a"
    assert all(line.startswith(" " * 15) for line in below)

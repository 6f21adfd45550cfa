"""Where two plan files differ, in the names of their fields."""

from __future__ import annotations

from typing import Any

import pytest

from dstream.cli.lifecycle.plan_fields import differences


def item(name: str, op: str = "create", **more: Any) -> dict[str, Any]:
    return {"name": name, "op": op, **more}


@pytest.mark.parametrize(
    ("saved", "now", "named"),
    [
        ({"a": 1, "b": [1, "x"]}, {"b": [1, "x"], "a": 1}, []),
        ({"a": True}, {"a": 1}, ["a: planned true, now 1"]),
        ({"a": 1}, {"a": 1.0}, ["a: planned 1, now 1.0"]),
        ({"a": None}, {}, ["a: none is no longer planned"]),
        ({}, {"a.b": {"c": 1}}, ['["a.b"]: {"c": 1} was not planned']),
        ({"a": ["x", "y"]}, {"a": ["x", "z", 1]}, ['a[1]: planned "y", now "z"', "a[2]: 1 was not planned"]),
        ({"a": "x" * 70}, {"a": 1}, [f'a: planned "{"x" * 59}.., now 1']),
    ],
)
def test_each_field_that_differs_is_named(saved: Any, now: Any, named: list[str]) -> None:
    assert [str(each) for each in differences(saved, now)] == named


@pytest.mark.parametrize(
    ("now", "named"),
    [
        ([item("new"), item("a"), item("b"), item("c")], ["r[0]: create new was not planned"]),
        ([item("a"), item("c")], ["r[1]: create b is no longer planned"]),
        ([item("c"), item("a"), item("b", "delete")], ['r[1].op: planned "create", now "delete"']),
        ([item("a"), item("x"), item("c")], ['r[1].name: planned "b", now "x"']),
        ([item("b"), item("x"), item("a")], ["r[2]: create c is no longer planned", "r[1]: create x was not planned"]),
        ([item("a"), item("b"), item("c"), item("c")], ["r[3]: create c was not planned"]),
    ],
)
def test_items_are_matched_by_name(now: list[dict[str, Any]], named: list[str]) -> None:
    saved = [item("a"), item("b"), item("c")]
    assert [str(each) for each in differences(saved, now, "r")] == named


def test_another_order_is_a_difference() -> None:
    (change,) = differences([item("a"), item("b")], [item("b"), item("a")], "r")
    assert change.path == "r"

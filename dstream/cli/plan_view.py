"""How plans, results and drift look to people. Pure: from resources to text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import click

from dstream.protocol.lifecycle import ListedResource
from dstream.protocol.messages import Difference, Operation, Resource

_MARKS: dict[Operation, str] = {
    "create": "+",
    "update": "~",
    "replace": "-/+",
    "delete": "-",
    "same": "=",
    "refresh": "~",
    "import": "<",
}
_COLORS: dict[Operation, str] = {
    "create": "green",
    "update": "yellow",
    "replace": "red",
    "delete": "red",
    "refresh": "yellow",
    "import": "green",
}
_DOING: dict[Operation, str] = {
    "create": "creating",
    "update": "updating",
    "replace": "replacing",
    "delete": "deleting",
    "same": "checking",
    "refresh": "reading",
    "import": "importing",
}
_DONE: dict[Operation, str] = {
    "create": "created",
    "update": "updated",
    "replace": "replaced",
    "delete": "deleted",
    "same": "unchanged",
    "refresh": "refreshed",
    "import": "imported",
}
_PROGRESS_WIDTH = 24
_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")

Paint = Callable[[str, str | None], str]
"""A text and its colour; None: dim."""


def painter(use_color: bool) -> Paint:
    def paint(text: str, color: str | None) -> str:
        if not use_color:
            return text
        return click.style(text, fg=color) if color else click.style(text, dim=True)

    return paint


def plan_view(resources: Sequence[ListedResource], paint: Paint) -> str:
    """Each resource with what changes in it, then the count."""
    if not resources:
        return "Plan: nothing to do, there are no resources.\n"
    widths = _Widths(resources)
    lines = [line for resource in resources for line in _planned(resource, widths, paint)]
    return "\n".join([*lines, "", f"Plan: {counts(resources)}."]) + "\n"


def drift_view(resources: Sequence[ListedResource], paint: Paint) -> list[str]:
    """What is not as recorded; nothing for what is."""
    widths = _Widths(resources)
    lines: list[str] = []
    for resource in resources:
        if resource.op == "same":
            continue
        head = f"  {_head(resource, widths, paint)}".rstrip()
        lines.append(f"{head}  {resource.note}" if resource.note else head)
        lines += [
            f"      {_words(each.path)}   {_value(each.old)} recorded, {_value(each.new)} real"
            for each in resource.diff
        ]
    return lines


def progress_line(resource: Resource, elapsed_s: float | None, paint: Paint) -> str:
    """One step of init or destroy, begun or ended."""
    name = f"{kind(resource.type)}  {resource.name}".strip()
    name = f"{name:<{_PROGRESS_WIDTH}}"
    took = "" if elapsed_s is None else f"{elapsed_s:.1f}s"
    if resource.phase == "failed":
        return paint(f"  ! {name}   failed   {resource.note}".rstrip(), "red")
    if resource.phase == "done":
        return f"  {paint('✓', 'green')} {name}   {_DONE[resource.op]}   {took}".rstrip()
    return f"  {paint(_MARKS[resource.op], _COLORS.get(resource.op))} {name}   {_DOING[resource.op]}"


def result_line(resources: Sequence[ListedResource], elapsed_s: float) -> str:
    """'Created 1, updated 1, failed 1 in 3.4 s.'"""
    words: dict[str, int] = {}
    for resource in resources:
        word = "failed" if resource.phase == "failed" else _DONE[resource.op]
        words[word] = words.get(word, 0) + 1
    if not words:
        return f"Done in {elapsed_s:.1f} s."
    order = [*_DONE.values(), "failed"]
    text = ", ".join(f"{word} {words[word]}" for word in sorted(words, key=order.index))
    return f"{text[0].upper()}{text[1:]} in {elapsed_s:.1f} s."


def counts(resources: Sequence[ListedResource]) -> str:
    """'1 create, 2 unchanged'"""
    numbers = {op: sum(each.op == op for each in resources) for op in _MARKS}
    if all(resource.op == "same" for resource in resources):
        return f"no changes, {numbers['same']} unchanged"
    return ", ".join(f"{number} {'unchanged' if op == 'same' else op}" for op, number in numbers.items() if number)


def has_changes(resources: Sequence[ListedResource]) -> bool:
    return any(resource.op != "same" for resource in resources)


def kind(resource_type: str) -> str:
    """'azure-native:servicebus:AuthorizationRule' -> 'authorization rule'"""
    return _words(resource_type.rpartition(":")[2])


class _Widths:
    """Columns that fit all resources."""

    def __init__(self, resources: Sequence[ListedResource]) -> None:
        self.mark = max((len(_MARKS[each.op]) for each in resources), default=1)
        self.kind = max((len(kind(each.type)) for each in resources), default=0)
        self.name = max((len(each.name) for each in resources), default=0)


def _planned(resource: ListedResource, widths: _Widths, paint: Paint) -> list[str]:
    word = "unchanged" if resource.op == "same" else resource.op
    head = f"{_head(resource, widths, paint)}   {paint(word, _COLORS.get(resource.op))}"
    if resource.note:
        head += f", {resource.note}"
    if resource.op in ("same", "delete"):
        return [head]
    width = max((len(_words(each.path)) for each in resource.diff), default=0)
    return [head, *(f"      {_words(each.path):<{width}}   {_change(each)}" for each in resource.diff)]


def _head(resource: ListedResource, widths: _Widths, paint: Paint) -> str:
    mark = paint(f"{_MARKS[resource.op]:<{widths.mark}}", _COLORS.get(resource.op))
    text = f"{kind(resource.type):<{widths.kind}}  {resource.name:<{widths.name}}"
    return f"  {mark} {text.lstrip() if not widths.kind else text}"


def _change(difference: Difference) -> str:
    if difference.old is None:
        return _value(difference.new)
    return f"{_value(difference.old)} → {_value(difference.new)}"


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value or '""'
    return json.dumps(value, ensure_ascii=False)


def _words(name: str) -> str:
    """'maxDeliveryCount' and 'max_delivery_count' -> 'max delivery count'"""
    return _WORD_BORDER.sub(" ", name).lower()

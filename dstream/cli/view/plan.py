"""Formats plans, progress and results as text. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import click

from dstream.cli.view.words import DONE, MARKS, change, few, held, kind, label, loss, new_value, old_value
from dstream.protocol.lifecycle import ListedResource
from dstream.protocol.messages import Operation, Resource

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
_DONE_WIDTH = max(map(len, DONE.values()))
_UNCHANGED_SHOWN = 10
_NARROWEST = 24
"""Minimum number of columns for a long value to start on the line of its name."""
_INDENT = " " * 6


@dataclass(frozen=True, slots=True)
class Widths:
    """Widths of the columns of a list of resources."""

    mark: int = 1
    kind: int = 0
    name: int = 0

    @classmethod
    def of(cls, resources: Sequence[ListedResource]) -> Widths:
        """Return the widths that fit all these resources."""
        return cls(
            max((len(MARKS[each.op]) for each in resources), default=1),
            max((len(kind(each)) for each in resources), default=0),
            max((len(each.name) for each in resources), default=0),
        )


Paint = Callable[[str, str | None], str]
"""Takes a text and its color; None: dim."""


def painter(use_color: bool) -> Paint:
    def paint(text: str, color: str | None) -> str:
        if not use_color:
            return text
        return click.style(text, fg=color) if color else click.style(text, dim=True)

    return paint


def plan_view(
    resources: Sequence[ListedResource],
    paint: Paint,
    *,
    message: str = "",
    width: int | None = None,
    allows_loss: bool = False,
) -> str:
    """Show each resource with its changes, then the counts, the provider's message, and what would be refused.

    `width`: terminal columns at which long values wrap; None: no wrapping. `allows_loss`: the user allowed data loss,
    so nothing is refused.
    """
    if not resources:
        return "Plan: nothing to do, there are no resources.\n" + (f"{message}\n" if message else "")
    lines = [*_listing(resources, paint, width), "", *folded(f"Plan: {counts(resources)}.", "", width)]
    for line in message.splitlines():
        lines += folded(line, "", width)
    losing = [each for each in resources if (each.holds or each.confirm) and each.op in ("replace", "delete")]
    if losing and not allows_loss:
        who = f"{few([each.name for each in losing])} {'loses' if len(losing) == 1 else 'lose'} {held(losing)}"
        flags = ["--allow-data-loss", *(f"--confirm {each.confirm}" for each in losing if each.confirm)]
        lines += [
            paint(line, "red")
            for line in folded(f"Refused by default: {who}. Allow it with {' '.join(flags)}.", "", width)
        ]
    return "\n".join(lines) + "\n"


def drift_view(resources: Sequence[ListedResource], paint: Paint) -> list[str]:
    """Show the resources that have drifted."""
    drifted = [each for each in resources if each.op != "same"]
    widths = Widths.of(drifted)
    lines: list[str] = []
    for resource in drifted:
        head = f"  {_head(resource, widths, paint)}".rstrip()
        lines += _noted(head, resource.note)
        width = max((len(label(each)) for each in resource.diff), default=0)
        for each in resource.diff:
            values = f"{old_value(each)} recorded, {new_value(each)} actual"
            lines += folded(values, f"        {label(each):<{width}}   ", None)
    return lines


def progress_line(
    resource: Resource, elapsed_s: float | None, widths: Widths, paint: Paint, columns: int | None = None
) -> str:
    """Show that a step of init or destroy has ended. `widths`: of the planned resources. `columns`: at which the cause
    of a failure wraps; None: no wrapping.
    """
    mark = "!" if resource.phase == "failed" else "✓"
    mark, name = f"{mark:<{widths.mark}}", _name(resource, widths)
    took = "" if elapsed_s is None else f"{elapsed_s:.1f}s"
    if resource.phase == "failed":
        head = f"  {mark} {name}   failed"
        is_short = not columns or len(head) + 3 + len(resource.note) <= columns
        lines = _noted(head, resource.note) if is_short else [head, *folded(resource.note, _INDENT, columns)]
        return "\n".join(paint(line, "red") for line in lines)
    return f"  {paint(mark, 'green')} {name}   {DONE[resource.op]:<{_DONE_WIDTH}}   {took}".rstrip()


def under_way_line(under_way: Sequence[Resource], ended: int, planned: int, elapsed_s: float) -> str:
    """'  3 of 10 · 12s · creating orders, returns; deleting audit'. The names come last, where they may be cut."""
    by_op: dict[Operation, list[str]] = {}
    for each in under_way:
        by_op.setdefault(each.op, []).append(each.name)
    doing = "; ".join(f"{_DOING[op]} {', '.join(names)}" for op, names in by_op.items())
    counted = [f"{ended:,} of {planned:,}"] if planned else []
    return "  " + " · ".join([*counted, f"{elapsed_s:.0f}s", doing])


def result_line(resources: Sequence[ListedResource], elapsed_s: float) -> str:
    """'Created 1, updated 1, failed 1 in 3.4 s.'"""
    found: dict[str, int] = {}
    for resource in resources:
        word = "failed" if resource.phase == "failed" else DONE[resource.op]
        found[word] = found.get(word, 0) + 1
    if not found:
        return f"Done in {elapsed_s:.1f} s."
    order = [*DONE.values(), "failed"]
    text = ", ".join(f"{word} {found[word]}" for word in sorted(found, key=order.index))
    return f"{text[0].upper()}{text[1:]} in {elapsed_s:.1f} s."


def counts(resources: Sequence[ListedResource]) -> str:
    """'1 to create, 2 unchanged'"""
    numbers = {op: sum(each.op == op for each in resources) for op in MARKS}
    if all(resource.op == "same" for resource in resources):
        return f"no changes, {numbers['same']:,} unchanged"
    words = {**{op: f"to {op}" for op in MARKS}, "same": "unchanged"}
    return ", ".join(f"{number:,} {words[op]}" for op, number in numbers.items() if number)


def _listing(resources: Sequence[ListedResource], paint: Paint, width: int | None) -> Iterator[str]:
    """Many unchanged resources take one line, so that changes do not scroll away."""
    same = [each for each in resources if each.op == "same"]
    is_long = len(same) > _UNCHANGED_SHOWN
    shown = [each for each in resources if each.op != "same"] if is_long else resources
    widths = Widths.of(shown)
    for resource in shown:
        yield from _planned(resource, widths, paint, width)
    if is_long:
        yield f"  {'=':<{widths.mark}} {paint(f'{len(same):,} unchanged', None)}"


def _planned(resource: ListedResource, widths: Widths, paint: Paint, width: int | None) -> Iterator[str]:
    word = "unchanged" if resource.op == "same" else resource.op
    head = f"{_head(resource, widths, paint)}   {paint(word, _COLORS.get(resource.op))}"
    note = loss(resource)
    plain = 2 + widths.mark + 1 + widths.kind + 2 + widths.name + 3 + len(word)
    if "\n" in note or (note and width and plain + 2 + len(note) > width):
        yield head
        yield from folded(note, _INDENT, width)
    else:
        yield f"{head}, {note}" if note else head
    if resource.op in ("same", "delete"):
        return
    column = max((len(label(each)) for each in resource.diff), default=0)
    for each in resource.diff:
        begin = f"{_INDENT}{label(each):<{column}}   "
        yield from folded(change(each), begin, width)


def folded(text: str, begin: str, width: int | None) -> list[str]:
    """Return `begin` and the text in aligned lines of at most `width` columns; None: in one line."""
    indent = " " * len(begin) if not width or len(begin) <= width - _NARROWEST else _INDENT + "  "
    lines: list[str] = []
    for line in text.split("\n"):  # a second line at the margin, such as "- AND b", would look like a deletion
        head = indent if lines else begin
        if not width or len(head) + len(line) <= width:
            lines.append(head + line)
        else:
            name = head.lstrip(" ")
            margin = head[: len(head) - len(name)] if name else indent
            lines += textwrap.wrap(
                name + line, width, initial_indent=margin, subsequent_indent=indent, break_on_hyphens=False
            ) or [head]
    return lines


def _noted(head: str, note: str) -> list[str]:
    """Return the line with its note; a note of several lines goes below it."""
    return [head, *folded(note, _INDENT, None)] if "\n" in note else [f"{head}   {note}".rstrip()]


def _head(resource: ListedResource, widths: Widths, paint: Paint) -> str:
    mark = paint(f"{MARKS[resource.op]:<{widths.mark}}", _COLORS.get(resource.op))
    return f"  {mark} {_name(resource, widths)}"


def _name(resource: Resource | ListedResource, widths: Widths) -> str:
    text = f"{kind(resource):<{widths.kind}}  {resource.name:<{widths.name}}"
    return text if widths.kind else text.lstrip()

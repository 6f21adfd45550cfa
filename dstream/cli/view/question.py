"""The question that `init` and `destroy` ask before they change anything. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from dstream.cli.view.answer import Answer
from dstream.cli.view.words import MARKS, few, plural


def question(command: Literal["init", "destroy"], plans: Sequence[Answer]) -> str:
    """'Create 10 and update 1 resource for orders?'"""
    tasks = few([answer.task for answer in plans])
    if not all(answer.has_changes for answer in plans):  # a legacy provider does not list its resources
        return f"{'Create or update' if command == 'init' else 'Delete'} the infrastructure of {tasks}?"
    ops = [each.op for answer in plans for each in answer.resources]
    changed = [op for op in MARKS if op in ops and op != "same"]
    parts = [f"{op} {ops.count(op):,}" for op in changed[:-1]]
    last = f"{changed[-1]} {plural(ops.count(changed[-1]), 'resource')}"
    what = f"{', '.join(parts)} and {last}" if parts else last
    return f"{what.capitalize()} {'for' if command == 'init' else 'of'} {tasks}?"

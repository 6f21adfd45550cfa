"""Formats a plan, result or status as a pull request comment. Pure.

The first line is a marker that depends only on the command and the stack, so that a later run can find and edit the
comment. Dangerous changes come first. If the comment would be too long, whole resources are omitted, but never counts
or warnings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from urllib.parse import quote

from dstream.cli.view.answer import Answer
from dstream.cli.view.markdown_text import code, fenced, one_line, prose
from dstream.cli.view.plan import counts, result_line
from dstream.cli.view.words import DONE, kind, label, loss, new_value, old_value, plural
from dstream.protocol.lifecycle import LifecycleName, ListedResource
from dstream.protocol.messages import Operation

MAX_LENGTH = 64_000
"""GitHub allows 65,536 characters; some count as two."""
_WARNED_LENGTH = 8_000
_ORDER: Sequence[Operation] = ("replace", "delete", "update", "create", "import", "refresh", "same")
_SIGNS: dict[Operation, str] = {
    "replace": "🔁",
    "delete": "🗑️",
    "update": "✏️",
    "create": "➕",
    "import": "📥",
    "refresh": "🔄",
    "same": "",
}
_DIFF_SIGNS: dict[Operation, str] = {"create": "+", "import": "+", "delete": "-"}


def markdown_of(
    command: LifecycleName, stack: str, answers: Sequence[Answer], *, destroys: bool = False, deploys: bool = False
) -> str:
    """Return the comment. `destroys`: the plan is for `destroy`. `deploys`: the command is one of `dstream deploy`."""
    title = "deploy " * deploys + ("destroy plan" if destroys else command)
    marker = f"deploy-{command}" if deploys else command
    head = [
        f"<!-- dstream:{marker}:{quote(stack, safe='')} -->",
        f"### DStream {title} · stack {code(stack)} · {_verdict(command, answers)}",
        "",
        *chain.from_iterable(_failure(answer) for answer in answers if not answer.is_success),
        *_losses(answers),
        *_removals(answers, command),
    ]
    frames = [_Frame(command, answer) for answer in answers]
    left = MAX_LENGTH - len("\n".join(head)) - sum(frame.length for frame in frames)
    text = "\n".join(head)
    for number, frame in enumerate(frames):
        body = frame.filled(left // (len(frames) - number))
        left -= len(body) - frame.length
        text += "\n" + body
    return text.rstrip() + "\n"


def _verdict(command: str, answers: Sequence[Answer]) -> str:
    """The result for all tasks, in a few words."""
    resources = [each for answer in answers for each in answer.resources]
    failed = sum(not answer.is_success for answer in answers)
    parts = [f"{failed} of {plural(len(answers), 'task')} failed"] if failed else []
    if command == "status":
        drifted = sum(each.op not in ("same", "refresh") for each in resources)
        parts.append(f"drift in {drifted:,} of {len(resources):,}" if drifted else "no drift")
    elif command != "plan" and any(each.phase != "planned" for each in resources):
        done = [each for each in resources if each.phase == "done" and each.op != "same"]
        parts.append(_done(done) or "no changes")
    elif not failed or resources:
        has_changes = any(each.op != "same" for each in resources)
        parts.append(counts(resources) if has_changes else "no changes")
    return ", ".join(parts)


def _done(resources: Sequence[ListedResource]) -> str:
    numbers = {word: sum(DONE[each.op] == word for each in resources) for word in DONE.values()}
    return ", ".join(f"{number:,} {word}" for word, number in numbers.items() if number)


def _failure(answer: Answer) -> Iterator[str]:
    yield "> [!CAUTION]"
    if answer.error is None:
        yield f"> **{prose(answer.task)}** was interrupted. Completed changes are recorded."
    else:
        yield f"> **{prose(answer.task)}** failed: {prose(answer.error.message)} ({code(answer.error.code)})"
        place = [code(str(answer.error.place))] if answer.error.place else []
        hint = [prose(answer.error.hint)] if answer.error.hint else []
        if place or hint:
            yield ">"
            yield f"> {' · '.join([*place, *hint])}"
    yield ""


def _losses(answers: Sequence[Answer]) -> Iterator[str]:
    losing = [(answer, each) for answer in answers for each in answer.losing if each.phase == "planned"]
    if not losing:
        return
    total = sum(answer.total_loss for answer in answers)
    yield "> [!WARNING]"
    units = prose(" and ".join(dict.fromkeys(each.held for _, each in losing if each.held)))
    what = f"{plural(len(losing), 'resource')} with {f'{total:,} {units}'.rstrip()} in total"
    yield f"> **Data would be lost**: {what}. Refused without `--allow-data-loss`."
    yield ">"
    rows = [f"> - {code(each.name)} ({prose(answer.task)}, {each.op}): {prose(loss(each))}" for answer, each in losing]
    yield from _fitting(rows, _WARNED_LENGTH, "> - and {} more")
    yield ""


def _removals(answers: Sequence[Answer], command: str) -> Iterator[str]:
    """Replacements and deletions that lose no data. Not for `status`, where a deletion is drift."""
    removed = [
        (answer, each)
        for answer in answers
        for each in answer.resources
        if each.op in ("replace", "delete") and each not in answer.losing
    ]
    if not removed or command == "status":
        return
    verb = "Replaced or deleted" if any(each.phase != "planned" for _, each in removed) else "To be replaced or deleted"
    yield "> [!WARNING]"
    yield f"> **{verb}**: {plural(len(removed), 'resource')}"
    yield ">"
    rows = [f"> - {code(each.name)} ({prose(answer.task)}, {each.op})" for answer, each in removed]
    yield from _fitting(rows, _WARNED_LENGTH, "> - and {} more")
    yield ""


class _Frame:
    """One task's section: a fixed part, and as many resources as fit."""

    def __init__(self, command: str, answer: Answer) -> None:
        self._command = command
        self._changed = sorted(
            (each for each in answer.resources if each.op != "same"),
            key=lambda each: (_ORDER.index(each.op), each.name),
        )
        self._head = [f"#### {prose(answer.heading)} · {_of_task(command, answer)}", ""]
        self._tail = [*_remarks(answer)]
        self.length = len("\n".join([*self._head, *self._tail])) + 500  # the table's head, the details' frame

    def filled(self, room: int) -> str:
        """Return the section with as many resources as fit into `room` more characters."""
        rows = [_row(each, self._command) for each in self._changed]
        shown = list(_fitting(rows, room, "| | and {} more | | |"))
        room -= sum(len(row) + 1 for row in shown)
        lines = [*self._head]
        if shown:
            lines += ["| | resource | kind | |", "|---|---|---|---|", *shown, ""]
        blocks = [block for each in self._changed if (block := _differences(each, self._command))]
        details = list(_fitting(blocks, room, "# and {} more"))
        if blocks and details:
            label = "Drift" if self._command == "status" else "Properties"
            lines += [f"<details><summary>{label}</summary>", "", fenced(details, "diff"), "", "</details>", ""]
        return "\n".join([*lines, *self._tail])


def _of_task(command: str, answer: Answer) -> str:
    if answer.has_no_infrastructure:
        return "no infrastructure"
    if not answer.is_success and not answer.resources:
        return "failed" if answer.error else "interrupted"
    if command == "status":
        drifted = sum(each.op not in ("same", "refresh") for each in answer.resources)
        return (
            f"drift in {drifted:,} of {len(answer.resources):,}"
            if drifted
            else f"{len(answer.resources):,} as recorded"
        )
    if any(each.phase != "planned" for each in answer.resources):
        return result_line(answer.resources, answer.elapsed_s).rstrip(".").lower()
    return counts(answer.resources) if answer.resources else "no resources"


def _remarks(answer: Answer) -> Iterator[str]:
    outcome = answer.outcome
    diagnostics = [
        f"- {each.severity}: {f'{code(each.name)}: ' if each.name else ''}{prose(each.message)}"
        for each in (outcome.diagnostics if outcome else ())
    ]
    yield from _fitting(diagnostics, _WARNED_LENGTH, "- and {} more")
    if answer.is_success:
        yield from (f"{prose(line)}  " for line in answer.message.splitlines() if line.strip())
    figures = [
        f"- {prose(str(each.get('label', '')))}: {code(str(each.get('name', '')))} {prose(str(each.get('text', '')))}"
        for each in (outcome.figures if outcome else ())
    ]
    yield from _fitting(figures, _WARNED_LENGTH, "- and {} more")
    yield ""


def _row(resource: ListedResource, command: str) -> str:
    if resource.phase == "failed":
        what = f"**failed**: {prose(resource.note)}" if resource.note else "**failed**"
    else:
        word = DONE[resource.op] if resource.phase == "done" and command != "status" else resource.op
        note = loss(resource) if resource.phase == "planned" else resource.note
        what = f"{word}, {prose(note)}" if note else word
        if command == "status" and not resource.note:
            what = "drifted" if resource.op != "refresh" else "recorded"
    sign = "❌" if resource.phase == "failed" else _SIGNS[resource.op]
    return f"| {sign} | {code(resource.name)} | {prose(kind(resource))} | {what} |"


def _differences(resource: ListedResource, command: str) -> str:
    """The lines of a diff; empty if no single property differs."""
    if not resource.diff or resource.op == "delete":
        return ""
    sign = _DIFF_SIGNS.get(resource.op, "!")
    title = one_line(f"{kind(resource)} {resource.name}".strip())
    lines = [f"{sign} {title}{' (replace)' if resource.op == 'replace' else ''}"]
    old_word, new_word = (" recorded", " actual") if command == "status" else ("", "")
    for each in resource.diff:
        name = label(each)
        if each.old is not None:
            lines.append(one_line(f"-     {name}: {old_value(each)}{old_word}"))
        lines.append(one_line(f"+     {name}: {new_value(each)}{new_word}"))
    return "\n".join(lines)


def _fitting(parts: Sequence[str], room: int, rest: str) -> Iterator[str]:
    """Yield as many whole parts as fit, then the number of omitted ones."""
    for number, part in enumerate(parts):
        room -= len(part) + 1
        if room < 0:
            yield rest.format(f"{len(parts) - number:,}")
            return
        yield part

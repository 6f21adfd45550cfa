"""`dstream deadletter`: list, show, replay or purge the rows that a task's output could not deliver."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click
import msgspec

from dstream.cli.audited import AuditedChange
from dstream.cli.completing import task_names
from dstream.cli.confirming import confirm
from dstream.cli.options import Options, with_options
from dstream.cli.project import infrastructure_of, load_project, spec_of, task_of
from dstream.cli.stopping import stopped_by_signals
from dstream.cli.view.progress import RunLog
from dstream.cli.view.words import plural
from dstream.errors import ConfigError, DataError, exit_code
from dstream.host import StopRequest
from dstream.host.provider.dead_letters import DeadLetterEnd, DeadLetterQuestion, ask_for_dead_letters
from dstream.protocol.dead_letters import DeadLetter, DeadLetterAction, DeadLetterRequest
from dstream.shown import shown

_TASK = click.argument("task", shell_complete=task_names)
_ONLY = click.option(
    "--only", "only", multiple=True, metavar="INDEX|ID", help="Only this row, as listed; may be repeated."
)


@click.group(epilog="\b\nExample:\n  dstream deadletter list orders")
def deadletter() -> None:
    """List, show, replay or purge rows that a task could not deliver.

    The task's output provider keeps them if it is configured to. The task may be running meanwhile.
    """


@deadletter.command("list", epilog="\b\nExample:\n  dstream deadletter list orders --json")
@_TASK
@with_options
def list_letters(task: str, options: Options) -> int:
    """List TASK's dead letters, the oldest first."""
    store = _Store(options, task)
    letters = store.ask("list").letters
    if store.is_interrupted:
        return store.exit_code
    if options.as_json:
        _print_json(task, dead_letters=[_plain(letter) for letter in letters])
    else:
        click.echo("\n".join(letters_view(letters)) if letters else f"{task} has no dead letters.")
    return store.exit_code


@deadletter.command(
    epilog="\b\nExamples:\n  dstream deadletter show orders 1 | jq .data\n  dstream deadletter show orders 1 --json"
)
@_TASK
@click.argument("row", metavar="INDEX|ID")
@with_options
def show(task: str, row: str, options: Options) -> int:
    """Show one of TASK's dead letters.

    Writes the row to stdout, as the output received it, and to stderr why it was rejected.
    """
    store = _Store(options, task)
    letters = store.chosen([row])[:1]
    if store.is_interrupted:
        return store.exit_code
    answer = store.ask("show", letters)
    (letter,) = letters
    if options.as_json:
        is_json = _is_json(answer.shown)
        event = msgspec.Raw(answer.shown) if is_json else None
        line = None if is_json else answer.shown.decode("utf-8", "replace")
        _print_json(task, dead_letter=_plain(letter), event=event, line=line)
    else:
        click.echo(shown(f"{letter.reason}: {letter.detail or 'no details'}"), err=True)
        click.echo(answer.shown.decode("utf-8", "backslashreplace"))
    return store.exit_code


@deadletter.command(
    epilog="\b\nExamples:\n  dstream deadletter replay orders\n"
    "  dstream deadletter replay orders --only 3 --only dbo.Orders/7"
)
@_TASK
@_ONLY
@with_options
def replay(task: str, only: Sequence[str], options: Options) -> int:
    """Deliver TASK's dead letters again.

    They are delivered in order, under their ids, with the task's current settings. A row is removed once it is
    delivered. A row that is rejected again stays, and the exit code is 1. An interrupted replay resumes when you run it
    again: a row may then arrive twice, with the same id.
    """
    store = _Store(options, task)
    letters = store.chosen(only)
    if store.is_interrupted:
        return store.exit_code
    delivered, rejected = 0, []
    if letters:
        with store.change("replay") as change:
            change.begin(rows=len(letters))
            with _progress(len(letters), f"Replaying {task}", options) as advance:
                answer = store.ask("replay", letters, advance)
            delivered = answer.end.count
            rejected = [letter for letter in answer.letters if letter.outcome == "rejected"]
            change.end(is_interrupted=store.is_interrupted, delivered=delivered, rejected=len(rejected))
    if options.as_json:
        _print_json(task, delivered=delivered, rejected=[_plain(letter) for letter in rejected])
    else:
        click.echo(f"Delivered {plural(delivered, 'row')}." if letters else f"{task} has no dead letters.")
    if rejected and not store.is_interrupted:
        again = rejected[0]
        raise DataError(
            "deadletter.rejected_again",
            f"{plural(len(rejected), 'row')} rejected again; the first: {again.detail or again.reason}",
            hint=f"`dstream deadletter list {task}` lists what is left.",
        )
    return store.exit_code


@deadletter.command(epilog="\b\nExample:\n  dstream deadletter purge orders --only 3 --yes")
@_TASK
@_ONLY
@click.option("--yes", is_flag=True, help="Skip the confirmation prompt; required when stdin is not a terminal.")
@with_options
def purge(task: str, only: Sequence[str], options: Options, *, yes: bool) -> int:
    """Delete TASK's dead letters for good, without delivering them."""
    store = _Store(options, task)
    letters = store.chosen(only)
    if store.is_interrupted:
        return store.exit_code
    if letters:
        confirm(f"{plural(len(letters), 'row')} of {task} will be deleted for good, without being delivered.", yes)
        with store.change("purge") as change:
            change.begin(rows=len(letters))
            store.ask("purge", letters)
            change.end(is_interrupted=store.is_interrupted)
    if store.is_interrupted:
        return store.exit_code
    if options.as_json:
        _print_json(task, purged=len(letters))
    else:
        click.echo(f"Deleted {plural(len(letters), 'row')}." if letters else f"{task} has no dead letters.")
    return store.exit_code


class _Answer:
    """The answer of the provider, as it comes."""

    def __init__(self, log: Callable[..., None], advance: Callable[[], None]) -> None:
        self.log = log
        self._advance = advance
        self.letters: list[DeadLetter] = []
        self.shown = b""
        self.end = DeadLetterEnd(0)

    def letter(self, letter: DeadLetter) -> None:
        self.letters.append(letter)
        self._advance()

    def row(self, row: bytes) -> None:
        self.shown = row


class _Store:
    """The dead letters of one task, as its output provider knows them."""

    def __init__(self, options: Options, name: str) -> None:
        self._project = load_project(options, only=[name], roles=["output"])
        self._task = task_of(self._project, name)
        level = options.log_level or os.environ.get("DSTREAM_LOG_LEVEL", "warning")
        self._log = RunLog(sys.stderr, level=level, log_format=options.log_format or "text")
        self._stop = StopRequest()
        self._signal = 0

    @property
    def is_interrupted(self) -> bool:
        return self._signal != 0

    @property
    def exit_code(self) -> int:
        return exit_code("interrupted", signal=self._signal) if self._signal else exit_code("done")

    def change(self, action: DeadLetterAction) -> AuditedChange:
        return AuditedChange(self._project, f"deadletter {action}", [self._task.name])

    def chosen(self, wanted: Sequence[str]) -> list[DeadLetter]:
        """Return the letters with these indexes or ids, or all; none if the command was interrupted. Raises
        ConfigError for an unknown or ambiguous one."""
        letters = self.ask("list").letters
        return [] if self.is_interrupted else choose(letters, wanted, self._task.name)

    def ask(
        self,
        action: DeadLetterAction,
        letters: Sequence[DeadLetter] | None = None,
        advance: Callable[[], None] = lambda: None,
    ) -> _Answer:
        """`advance` is called after each letter of the answer."""
        question = DeadLetterQuestion(
            task=self._task.name,
            output=spec_of(self._task.output, self._project),
            infrastructure=infrastructure_of(self._project, self._task.name),
            request=DeadLetterRequest(action, None if letters is None else [each.reference for each in letters]),
            cwd=self._project.folder,
            start_timeout_s=self._task.start_timeout_s,
            max_line=self._task.max_line,
        )
        answer = _Answer(self._log.log, advance)
        stopping = "Stopping after the rows under way." if action == "replay" else "Stopping."
        with stopped_by_signals(self._on_signal, self._log.say, stopping):
            answer.end = ask_for_dead_letters(question, answer, self._stop)
        return answer

    def _on_signal(self, number: int) -> None:
        self._signal = number
        self._stop.request()


def letters_view(letters: Sequence[DeadLetter]) -> list[str]:
    """Return the lines of a table."""
    cells = [
        ("INDEX", "TIME", "ENTITY", "REASON", "BYTES", "ID"),
        *((f"{each.index}", each.time, each.entity, each.reason, f"{each.size:,}", each.id) for each in letters),
    ]
    rows = [[shown(cell) for cell in row] for row in cells]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def choose(letters: Sequence[DeadLetter], wanted: Sequence[str], task: str) -> list[DeadLetter]:
    """Return the letters with these indexes or ids, or all, in order. Raises ConfigError for an unknown or ambiguous
    one."""
    if not wanted:
        return list(letters)
    chosen: dict[int, DeadLetter] = {}
    for name in wanted:
        with_id = [letter for letter in letters if letter.id == name]
        with_index = [letter for letter in letters if str(letter.index) == name]
        if not with_id and not with_index:
            raise ConfigError(
                "deadletter.unknown",
                f'task "{task}" has no dead letter "{name}"',
                hint=f"`dstream deadletter list {task}` lists their indexes and ids.",
            )
        if with_id and with_index and with_id != with_index:
            raise ConfigError(
                "deadletter.ambiguous",
                f'"{name}" is the index of one dead letter and the id of another',
                hint=f'Use the id "{with_index[0].id}" or the index {with_id[0].index}.',
            )
        chosen |= {letter.index: letter for letter in with_id or with_index}
    return [chosen[index] for index in sorted(chosen)]


@contextlib.contextmanager
def _progress(length: int, label: str, options: Options) -> Iterator[Callable[[], None]]:
    """Show progress on a terminal. Yields what to call after each row."""
    if not sys.stderr.isatty() or options.log_format == "json":
        yield lambda: None
        return
    with click.progressbar(length=length, label=label, show_pos=True, file=sys.stderr) as bar:
        yield lambda: bar.update(1)


def _plain(letter: DeadLetter) -> dict[str, Any]:
    return {
        "index": letter.index,
        "time": letter.time,
        "entity": letter.entity,
        "reason": letter.reason,
        "detail": letter.detail,
        "id": letter.id,
        "size": letter.size,
    }


def _is_json(row: bytes) -> bool:
    try:
        msgspec.json.decode(row)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _print_json(task: str, **fields: Any) -> None:
    """Without decoding an event, so that numbers of any size stay unchanged."""
    click.echo(msgspec.json.encode({"schema_version": 1, "task": task, **fields}).decode())

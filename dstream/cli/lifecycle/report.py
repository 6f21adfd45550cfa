"""The output of a lifecycle command: progress, then the result for users, scripts and pull requests."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import click

from dstream.cli.lifecycle.flags import STDOUT, Flags
from dstream.cli.lifecycle.log import CommandLog, EventStream, LifecycleLog
from dstream.cli.lifecycle.plan_file import SavedPlan
from dstream.cli.options import Options
from dstream.cli.render import show_errors
from dstream.cli.view.answer import Answer
from dstream.cli.view.displayed import displayed
from dstream.cli.view.markdown import markdown_of
from dstream.cli.view.moves import suggested_moves
from dstream.cli.view.plan import counts, painter, plan_view, result_line
from dstream.cli.view.status import status_view
from dstream.cli.view.stream import StreamView
from dstream.errors import SystemFault
from dstream.private_files import write_report
from dstream.protocol.lifecycle import LifecycleName
from dstream.shown import shown_lines


class CommandReport:
    """Reports one command. `log` receives the events of its tasks."""

    def __init__(
        self, command: LifecycleName, options: Options, flags: Flags, *, tasks: Sequence[str], stack: str
    ) -> None:
        self._command = command
        self._options = options
        self._flags = flags
        self._stack = stack
        self._is_text = not (options.as_json or flags.json_stream or flags.markdown == STDOUT)
        self._events = EventStream(sys.stdout) if flags.json_stream else None
        self.log: CommandLog = self._events or LifecycleLog(
            sys.stderr,
            level=options.level,
            log_format=options.log_format or "text",
            paint=painter(options.color(sys.stderr)),
            task_width=max(map(len, tasks)) if len(tasks) > 1 else 0,
        )

    def plans(self, answers: Sequence[Answer]) -> None:
        """Show the plans: the result of `plan`; for other commands a preview, on stderr if stdout is not text."""
        self.log.expect([each for answer in answers for each in answer.resources])
        if self._events and self._command != "plan":
            for answer in answers:
                self._events.write("plan", command=self._command, stack=self._stack, **answer.document())
            self._events.check()  # nothing is changed whose plan could not be shown
        elif self._is_text or self._command != "plan":
            self._show_plans(displayed(answers), sys.stdout if self._is_text else sys.stderr)

    def results(self, answers: Sequence[Answer]) -> None:
        """Show what `init` and `destroy` did, as text."""
        if not self._is_text:
            return
        click.echo()
        for answer in displayed(answers):
            self._show_result(answer, names_task=len(answers) > 1)
        changed = [answer for answer in answers if any(each.phase != "planned" for each in answer.resources)]
        if len(changed) > 1:
            began_s = min(answer.ended_s - answer.elapsed_s for answer in changed)
            resources = [each for answer in changed for each in answer.resources]
            total = result_line(resources, max(answer.ended_s for answer in changed) - began_s)
            click.echo(f"\n{len(changed)} tasks: {total[0].lower()}{total[1:]}")

    def statuses(self, answers: Sequence[Answer], streams: Sequence[StreamView | None]) -> None:
        if not self._is_text:
            return
        paint = painter(self._options.color(sys.stdout))
        for index, (answer, stream) in enumerate(zip(answers, streams, strict=True)):
            age_s = time.monotonic() - answer.ended_s
            lines = status_view(displayed(answer), self._stack, stream, paint, age_s=age_s, width=_width(sys.stdout))
            lines = [""] * bool(index) + lines
            click.echo(self._options.commands_in("\n".join(lines)))

    def end(self, answers: Sequence[Answer], plan_file: SavedPlan | None = None, **more: Sequence[Any]) -> None:
        """Write the JSON and Markdown documents, then the failures, even if a document cannot be written.

        `plan_file`: the one that was written or read. `more`: further fields, with one value per task.
        """
        try:
            self._write_documents(answers, plan_file, more)
        finally:
            self._show_failures(answers)

    def _write_documents(
        self, answers: Sequence[Answer], plan_file: SavedPlan | None, more: Mapping[str, Sequence[Any]]
    ) -> None:
        for answer in answers:
            if answer.error:
                self._options.name_commands_in(answer.error)
        tasks = [answer.document() for answer in answers]
        for name, values in more.items():
            for task, value in zip(tasks, values, strict=True):
                task[name] = value
        if self._options.as_json:
            document = {"schema_version": 1, "command": self._command, "stack": self._stack, "tasks": tasks}
            of_file = {"plan_file": plan_file.document()} if plan_file else {}
            click.echo(json.dumps({**document, **of_file}))
        if self._events:
            for task in tasks:
                self._events.write("result", command=self._command, stack=self._stack, **task)
            self._events.check()
        if self._flags.markdown:
            text = markdown_of(
                self._command,
                self._stack,
                answers,
                destroys=self._flags.destroy,
                deploys=self._options.deployment is not None,
            )
            self._write_markdown(text)

    def hint(self, text: str) -> None:
        if self._is_text:
            click.echo(shown_lines(self._options.commands_in(text)))

    def _show_plans(self, answers: Sequence[Answer], stream: TextIO) -> None:
        paint = painter(self._options.color(stream))
        width = _width(stream)
        index = 0
        for answer in answers:
            if not answer.is_success:
                continue
            head = f"{answer.heading} · stack {self._stack}"
            if answer.has_no_infrastructure:
                body = f"  {answer.provider} manages no infrastructure.\n"
            elif answer.outcome and answer.outcome.is_legacy and not answer.resources:
                body = f"{answer.message or 'The provider reported no details.'}\n"
            else:
                body = plan_view(
                    answer.resources,
                    paint,
                    message=answer.message,
                    width=width,
                    allows_loss=self._flags.allow_data_loss,
                )
            click.echo(f"{chr(10) if index else ''}{head}\n\n{body}", file=stream, nl=False)
            index += 1
        resources = [each for answer in answers if answer.is_success for each in answer.resources]
        if index > 1 and resources:
            click.echo(f"\nPlan for {index} tasks: {counts(resources)}.", file=stream)
        for line in suggested_moves([answer for answer in answers if answer.is_success], self._options.again):
            click.echo(f"\n{line}", file=stream)

    def _show_result(self, answer: Answer, *, names_task: bool) -> None:
        outcome = answer.outcome
        if outcome is None:
            return
        prefix = f"{answer.task}: " if names_task else ""
        if answer.is_success or answer.resources:
            click.echo(prefix + result_line(answer.resources, answer.elapsed_s))
        if outcome.message and answer.is_success:
            click.echo(outcome.message)
        for name, value in (outcome.outputs or {}).items():
            click.echo(f"  {name} = {value if isinstance(value, str) else json.dumps(value)}")

    def _show_failures(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            if answer.error:
                self._options.repeat_in(answer.error)
                show_errors(answer.error, sys.stderr)
            elif answer.is_interrupted:
                text = f"Interrupted before {answer.task} finished."
                if self._command in ("init", "destroy"):
                    shown_by = " ".join(["dstream", "status", answer.task, *self._options.again])
                    text += f" Completed steps are recorded; review them: {shown_by}"
                click.echo(self._options.commands_in(text), err=True)

    def _write_markdown(self, text: str) -> None:
        path = self._flags.markdown
        if path == STDOUT:
            click.echo(text, nl=False)
            return
        assert path is not None
        try:
            write_report(path, text)
        except OSError as error:
            raise SystemFault("plan.write_failed", f"cannot write {path}: {error.strerror}") from error


def _width(stream: TextIO) -> int | None:
    """The terminal's columns; None if it is not a terminal."""
    return shutil.get_terminal_size().columns if stream.isatty() else None

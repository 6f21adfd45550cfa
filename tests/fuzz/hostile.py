"""Hostile text in everything that DStream shows. `python -m tests.fuzz.hostile SECONDS`, of `make fuzz`, never repeats a
case; the suite runs a fixed number of them.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from dstream_sandbox.printable import printable
from dstream_sandbox.sql_script import as_text, column_names, server_errors, server_note

from dstream.cli.commands.deadletter import letters_view
from dstream.cli.commands.doctor import findings_view
from dstream.cli.commands.provider_report import list_lines, reference_lines, result_lines
from dstream.cli.lifecycle.flags import STDOUT, Flags
from dstream.cli.lifecycle.log import EventStream
from dstream.cli.lifecycle.report import CommandReport
from dstream.cli.options import Options
from dstream.cli.render import show_errors
from dstream.cli.view.answer import Answer
from dstream.cli.view.plan import painter
from dstream.cli.view.progress import RunLog
from dstream.cli.view.stream import StreamView
from dstream.config import load
from dstream.config.schema.reference import Setting
from dstream.errors import ConfigError, ConfigErrors, DStreamError, SourceLocation, SystemFault
from dstream.host import Condition, LifecycleOutcome, Progress
from dstream.host.provider.describe import Introduction
from dstream.host.provider.stderr_blocks import StderrBlocks
from dstream.host.run.report import RunReport
from dstream.kit import CHECKS, CheckResult
from dstream.plugins import Installed
from dstream.protocol.dead_letters import DeadLetter
from dstream.protocol.legacy_log import legacy_log
from dstream.protocol.lifecycle import ListedResource
from dstream.protocol.messages import (
    Diagnostic,
    Difference,
    Finding,
    Heartbeat,
    Hello,
    Metric,
    Resource,
    decode_control,
)
from dstream.redact import Redactor
from dstream.shown import on_stream
from dstream.state import StoredState
from dstream.telemetry.health import RunsWatch
from dstream.telemetry.metrics import render

ATTACKS = (
    "\x1b]0;title\x07", "\x1b]52;c;ZWNobw==\x1b\\", "\x1b[2J", "\x1b[31m", "\x1b[8m", "\r\x1b[K", "\x9b31m", "\x9d0;t\x9c", "\x00", "\x08\x08", "\x7f",
    "\u202eevil\u202c", "\u2066x\u2069", "\u200b", "\ufeff", "\ud800", "\U000e0041",
    "\nFORGED", "\r\nFORGED", "\rFORGED", "\u2028FORGED", "\x85FORGED", "\x0bFORGED", "\x0cFORGED", "\x1cFORGED", "\n\nFORGED",
    "::error::x", "\n::error::x", "\n  ::add-mask::x", "##[error]x", "##vso[task.complete result=Failed]", "\n##VSO[task.x]",
    "@everyone", "#1", "www.evil.example", "http://evil.example", "mail@evil.example", "<script>", "<!--", "-->", "```", "`", "|", "[a](b)", "![a](b)",
    "\n- item", "\n1. item", "\n# heading", "</details>", "~~~", "$x$", "\\", '"', "'", "{", "}", "%s", "{{ x }}", "${x}", "=", " ", "  ", "\t", "é", "→", "plain",
)  # fmt: skip
FIELDS = ("time", "level", "event", "self", "task", "role", "provider", "message", "stream", "msg", "name")
NOW = datetime(2026, 11, 30, tzinfo=UTC)
_CI_COMMAND = re.compile(r"^\s*::|##(?:vso)?\[", re.MULTILINE | re.IGNORECASE)
_IN_CODE = re.compile(r"^(`{3,})\w*\n.*?^\1$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINKED = re.compile(r"&#(?:64|35);(?=\w)|[@#](?=\w)(?<!&#)|www\.|://|<script|^\s*(?:[-+*]|\d+[.)]) item", re.MULTILINE)


class Terminal(io.StringIO):
    """What a command writes to a terminal, before its streams escape it."""

    def isatty(self) -> bool:
        return True


class Hostile:
    """Makes texts of one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def text(self) -> str:
        return "".join(self._random.choices(ATTACKS, k=self._random.randint(1, 4)))

    def line(self) -> str:
        """A text whose lines the views show as lines."""
        return f"a {' '.join(self.text().split())}"

    def value(self) -> Any:
        return self._random.choice([self.text(), [self.text()], {self.text(): self.text()}, 1, None, True])

    def fields(self) -> dict[str, Any]:
        return {self._random.choice([*FIELDS, self.text()]): self.value() for _ in range(3)}

    def resource(self, op: Any, phase: Any = "planned") -> ListedResource:
        diff = [Difference(self.text(), self.value(), self.value(), self.text(), self.text(), self.text())]
        diff.append(Difference(self.text(), self.value(), self.value()))
        return ListedResource(
            self.text(), self.text(), op, phase, diff, self.text(), 3, self.text(), self.text(), self.text()
        )

    def error(self) -> DStreamError:
        place = SourceLocation(self.text(), 1, 2, self.text(), self.text())
        return SystemFault("x.failed", self.text(), place=place, hint=self.line(), details=[self.text()])

    def answer(self, phase: Any) -> Answer:
        ops = ("create", "update", "replace", "delete", "same", "import")
        outcome = LifecycleOutcome(
            self.text(),
            [self.resource(op, phase) for op in self._random.sample(ops, 3)],
            {self.text(): self.text(), "more": {self.text(): [self.text()]}},
            figures=[{"label": self.text(), "name": self.text(), "text": self.text()}],
            where=self.text(),
            message=self.line(),
            diagnostics=[Diagnostic(self.text(), "warning", self.text())],
        )
        return Answer("orders", self.text(), outcome=outcome, error=self._random.choice([None, self.error()]))


def check(seed: int, folder: Path) -> None:
    """Raise AssertionError, with the seed, if one of the outputs contains hostile text."""
    hostile = Hostile(seed)
    for surface in (*_SURFACES, *([_configuration] if seed % 20 == 0 else [])):
        try:
            surface(hostile, folder)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, {surface.__name__}: {error}") from error


def harmless(text: str) -> None:
    """Text for a terminal or a log, before the streams escape it again."""
    lines = text.replace("\r\x1b[K", "").split("\n")
    obeyed = [line for line in lines if not line.replace("\t", "").isprintable() or line.startswith("FORGED")]
    if obeyed or _CI_COMMAND.search(on_stream(text)):
        raise AssertionError(ascii(obeyed or on_stream(text)))


def _lifecycle(hostile: Hostile, folder: Path) -> None:
    stored = StoredState(
        task="orders",
        input="i",
        output="o",
        seq=1,
        stored_at=hostile.text(),
        run_id=hostile.text(),
        state=msgspec.Raw(b"{}"),
    )
    live = {"phase": "reconnecting", "started_at": hostile.text(), "pid": 1, "lag_ms": 5, "reason": hostile.text()}
    planned, done = hostile.answer("planned"), hostile.answer("done")
    with _terminal() as terminal:
        report = CommandReport("init", Options(no_color=True), Flags(), tasks=["orders"], stack="dev")
        report.plans([planned])
        log = report.log.of("orders")
        for listed in done.resources:
            log.resource(Resource("started", listed.op, listed.name, listed.type, note=listed.note, kind=listed.kind))
            log.resource(Resource("failed", listed.op, listed.name, listed.type, note=listed.note, kind=listed.kind))
        log.diagnostic(Diagnostic(hostile.text(), "error", hostile.text()))
        log.log("warning", hostile.text(), **hostile.fields())
        report.log.end()
        report.results([done])
        report.statuses([planned], [StreamView(stored, live, NOW)])
        report.end([done])
    harmless(terminal.getvalue())


def _markdown(hostile: Hostile, folder: Path) -> None:
    with _terminal() as terminal:
        flags = Flags(markdown=STDOUT)
        CommandReport("plan", Options(no_color=True), flags, tasks=["orders"], stack="dev").end([_successful(hostile)])
    text = terminal.getvalue()
    harmless(text)
    outside = _IN_CODE.sub("", text)
    if found := _LINKED.search(outside.replace("<!-- dstream:", "")):
        raise AssertionError(f"{found[0]!a} in {outside!a}")


def _json(hostile: Hostile, folder: Path) -> None:
    answer = _successful(hostile)
    with _terminal() as terminal:
        options = Options(no_color=True, as_json=True)
        CommandReport("plan", options, Flags(), tasks=["orders"], stack="dev").end([answer])
    assert json.loads(on_stream(terminal.getvalue()))["tasks"][0]["resources"] == answer.document()["resources"]
    harmless(on_stream(terminal.getvalue()))
    stream = io.StringIO()
    fields = hostile.fields()
    EventStream(stream).of("orders").log("info", hostile.text(), **fields)
    assert json.loads(on_stream(stream.getvalue()))["fields"] == fields
    harmless(on_stream(stream.getvalue()))


def _run(hostile: Hostile, folder: Path) -> None:
    for log_format in ("text", "json"):
        terminal = Terminal()
        log = RunLog(terminal, level="debug", log_format=log_format)  # type: ignore[arg-type]
        watch = RunsWatch(["orders"])
        report = RunReport("orders", log.of("orders", watch.of("orders")), Redactor())
        report.started("input", hostile.text())
        line = json.dumps({**hostile.fields(), "dstream": "log", "level": hostile.text(), "event": hostile.text()})
        line = line.replace("\\ud800", "")  # refused by the decoder of messages
        control = decode_control(line.encode())
        assert control is not None
        report.told("input", control, line.encode())  # type: ignore[arg-type]
        report.told("input", Heartbeat("reconnecting", 5, hostile.text()), b"")
        report.told("input", Metric(hostile.text(), "gauge", 1.0, {hostile.text(): hostile.text()}), b"")
        report.progress(Progress(condition=Condition("reconnecting", hostile.text()), metrics=report.metrics))
        blocks = StderrBlocks()
        for part in (*(each for each in hostile.text().splitlines() if each), "end"):
            if block := blocks.add(part):
                report.text("input", block, stream="stderr")
        if legacy := legacy_log(json.dumps({"level": "info", "msg": hostile.text(), "time": hostile.text()}).encode()):
            report.event("input", legacy.level, legacy.message, legacy.fields)
        report.log("warning", "restart", reason=hostile.text(), **{hostile.text(): hostile.value()})
        log.end()
        harmless(terminal.getvalue())
        if log_format == "json":
            assert all("time" in json.loads(line) for line in terminal.getvalue().splitlines())
        harmless(render(watch).decode())


def _errors(hostile: Hostile, folder: Path) -> None:
    several = [
        ConfigError("x.y", hostile.text(), place=SourceLocation(hostile.text(), 1), hint=hostile.line())
        for _ in range(2)
    ]
    for error in (hostile.error(), ConfigErrors(several)):
        stream = io.StringIO()
        show_errors(error, stream)
        harmless(stream.getvalue())


def _tables(hostile: Hostile, folder: Path) -> None:
    hello = Hello(1, "input", hostile.text(), hostile.text(), [hostile.text()])
    setting = Setting(hostile.text(), hostile.text(), True, False, hostile.text(), hostile.line())
    finding = Finding("warning", hostile.text(), hostile.text(), hostile.text())
    letter = DeadLetter(1, hostile.text(), hostile.text(), hostile.text(), hostile.text(), hostile.text())
    bold = re.compile(r"\x1b\[(?:1|0|3[12])m")
    for lines in (
        *(findings_view({"orders": [finding]}, painter(False), columns) for columns in (None, 60)),
        letters_view([letter]),
        [list_lines([(Installed(hostile.text(), (), hostile.text()), Introduction(hello))])],
        [bold.sub("", reference_lines(hello, hostile.line(), [setting]))],
        [bold.sub("", result_lines(CheckResult(CHECKS[0], "failed", hostile.text())))],
    ):
        harmless("\n".join(lines))


def _sandbox(hostile: Hostile, folder: Path) -> None:
    cells = [*column_names([hostile.text()]), as_text(hostile.text())]
    harmless(printable("\t".join(cells), keeps="\t"))
    harmless(cells[1])
    harmless(printable(json.dumps({hostile.text(): hostile.text()}, ensure_ascii=False)).replace("FORGED", ""))
    for text in (server_errors(hostile.text()), server_note(hostile.text())):
        harmless(printable(text, keeps="\n\t").replace("FORGED", ""))


def _configuration(hostile: Hostile, folder: Path) -> None:
    """A file of which any part may be hostile."""
    file = folder / "dstream.hcl"
    body = f'input {{\n provider = "{hostile.text()}"\n {hostile.text()} = {hostile.text()}\n }}\n'
    file.write_text(f'task "{hostile.text()}" {{\n{body}{hostile.text()}\n}}\n', "utf-8", "backslashreplace")
    try:
        load(file, environ={})
    except DStreamError as error:
        stream = io.StringIO()
        show_errors(error, stream)
        harmless(stream.getvalue())


_SURFACES: tuple[Callable[[Hostile, Path], None], ...] = (
    _lifecycle,
    _markdown,
    _json,
    _run,
    _errors,
    _tables,
    _sandbox,
)


def _successful(hostile: Hostile) -> Answer:
    answer = hostile.answer("planned")
    return Answer(answer.task, answer.label, outcome=answer.outcome)


@contextlib.contextmanager
def _terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    with contextlib.redirect_stdout(terminal), contextlib.redirect_stderr(terminal):
        yield terminal


def main(seconds: float, folder: Path) -> None:
    first, end_s = random.randrange(10**9), time.monotonic() + seconds
    for number in itertools.count(1):
        check(first + number, folder)
        if time.monotonic() > end_s:
            sys.stdout.write(f"{number:,} seeds of hostile text, from {first + 1}: nothing raw came out.\n")
            return


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        main(float(sys.argv[1]), Path(name))

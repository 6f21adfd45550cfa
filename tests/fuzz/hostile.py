"""Hostile text in everything that DStream shows, from every place where foreign text can enter.

| place | terminal | log | JSON | Markdown | metrics |
|---|---|---|---|---|---|
| rows, in the sandbox's views of them | x | | x | | |
| stdout, stderr and control lines of a provider in a run | | x | x | | x |
| control lines and results of a provider in a lifecycle command; names and diffs | x | x | x | x | |
| what `provider list`, `show`, `test`, `doctor` and `deadletter list` get from a provider | x | | | | |
| errors of SQL Server, and of Service Bus over AMQP | x | | | | |
| HCL: any part of a file; values of a valid one | x | | x | | |
| state, plan, lock and audit files that others wrote | x | | x | x | |

Rows that `run --output -` writes to stdout are tested with real processes (tests/e2e/test_hostile_text.py), as secrets in all
files and outputs are (tests/e2e/test_secrets.py).

`python -m tests.fuzz.hostile SECONDS`, of `make fuzz`, never repeats a
case; the suite runs a fixed number of them.
"""

from __future__ import annotations

import io
import itertools
import json
import random
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

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
from dstream.cli.view.live import live_view
from dstream.cli.view.plan import painter
from dstream.cli.view.progress import RunLog
from dstream.cli.view.stream import StreamView
from dstream.config import load
from dstream.config.schema.reference import Setting
from dstream.errors import ConfigError, ConfigErrors, DStreamError, SourceLocation
from dstream.host import Condition, Progress
from dstream.host.provider.describe import Introduction
from dstream.host.provider.stderr_blocks import StderrBlocks
from dstream.host.run.report import RunReport
from dstream.kit import CHECKS, CheckResult
from dstream.plugins import Installed
from dstream.protocol.dead_letters import DeadLetter
from dstream.protocol.legacy_log import legacy_log
from dstream.protocol.messages import (
    Diagnostic,
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
from tests.fuzz.hostile_places import COMMANDS, PLACES
from tests.fuzz.hostile_text import SECRET, Hostile, Terminal, harmless, hides_secrets, terminal

NOW = datetime(2026, 11, 30, tzinfo=UTC)
_IN_CODE = re.compile(r"^(`{3,})\w*\n.*?^\1$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINKED = re.compile(r"&#(?:64|35);(?=\w)|[@#](?=\w)(?<!&#)|www\.|://|<script|^\s*(?:[-+*]|\d+[.)]) item", re.MULTILINE)


def check(seed: int, folder: Path) -> None:
    """Raise AssertionError, with the seed, if one of the outputs contains hostile text."""
    commands = [*COMMANDS, _configuration] if seed % 4 == 0 else []  # each takes as long as all of the others
    for surface in (*_SURFACES, *commands):
        try:
            surface(Hostile(seed), folder)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, {surface.__name__}: {error}") from error


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
    with terminal() as shown:
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
    harmless(shown.getvalue())


def _markdown(hostile: Hostile, folder: Path) -> None:
    with terminal() as shown:
        flags = Flags(markdown=STDOUT)
        CommandReport("plan", Options(no_color=True), flags, tasks=["orders"], stack="dev").end([_successful(hostile)])
    text = shown.getvalue()
    harmless(text)
    outside = _IN_CODE.sub("", text)
    if found := _LINKED.search(outside.replace("<!-- dstream:", "")):
        raise AssertionError(f"{found[0]!a} in {outside!a}")


def _json(hostile: Hostile, folder: Path) -> None:
    answer = _successful(hostile)
    with terminal() as shown:
        options = Options(no_color=True, as_json=True)
        CommandReport("plan", options, Flags(), tasks=["orders"], stack="dev").end([answer])
    assert json.loads(on_stream(shown.getvalue()))["tasks"][0]["resources"] == answer.document()["resources"]
    harmless(on_stream(shown.getvalue()))
    stream = io.StringIO()
    fields = hostile.fields()
    EventStream(stream).of("orders").log("info", hostile.text(), **fields)
    assert json.loads(on_stream(stream.getvalue()))["fields"] == fields
    harmless(on_stream(stream.getvalue()))


def _run(hostile: Hostile, folder: Path) -> None:
    hostile.keeps_secrets = True
    for log_format in ("text", "json"):
        shown = Terminal()
        log = RunLog(shown, level="debug", log_format=log_format)  # type: ignore[arg-type]
        watch = RunsWatch(["orders"])
        report = RunReport("orders", log.of("orders", watch.of("orders")), Redactor([SECRET]))
        report.started("input", hostile.plain_text())
        line = json.dumps({**hostile.fields(), "dstream": "log", "level": hostile.text(), "event": hostile.text()})
        line = line.replace("\\ud800", "")  # refused by the decoder of messages
        control = decode_control(line.encode())
        assert control is not None
        report.told("input", control, line.encode())  # type: ignore[arg-type]
        report.told("input", Heartbeat("reconnecting", 5, hostile.text()), b"")
        report.told("input", Metric(hostile.text(), "gauge", 1.0, {hostile.text(): hostile.text()}), b"")
        report.progress(Progress(condition=Condition("reconnecting", hostile.plain_text()), metrics=report.metrics))
        blocks = StderrBlocks()
        for part in (*(each for each in hostile.text().splitlines() if each), "end"):
            if block := blocks.add(part):
                report.text("input", block, stream="stderr")
        if legacy := legacy_log(json.dumps({"level": "info", "msg": hostile.text(), "time": hostile.text()}).encode()):
            report.event("input", legacy.level, legacy.message, legacy.fields)
        report.log("warning", "restart", reason=hostile.text(), **{hostile.text(): hostile.value()})
        log.end()
        harmless(shown.getvalue())
        if log_format == "json":
            assert all("time" in json.loads(line) for line in shown.getvalue().splitlines())
        harmless(render(watch).decode())
        hides_secrets(shown.getvalue() + render(watch).decode())
        harmless("\n".join(live_view(watch, 80, 24)))


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
    *PLACES,
)


def _successful(hostile: Hostile) -> Answer:
    answer = hostile.answer("planned")
    return Answer(answer.task, answer.label, outcome=answer.outcome)


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

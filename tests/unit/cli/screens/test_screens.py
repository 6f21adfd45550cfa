"""The main screens as a user sees them, at 80 and 160 columns: one text file each, next to this one.

After an intended change, write them again with `make screens` and review the difference.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from dstream.cli.commands.doctor import findings_view
from dstream.cli.commands.doctor_checks import Finding
from dstream.cli.commands.list import list_tasks
from dstream.cli.commands.provider_report import list_lines, report_line, result_lines
from dstream.cli.commands.state import show as show_state
from dstream.cli.lifecycle.log import LifecycleLog
from dstream.cli.render import show_errors
from dstream.cli.view.answer import Answer
from dstream.cli.view.live import live_view
from dstream.cli.view.plan import painter, plan_view, result_line
from dstream.cli.view.question import question
from dstream.cli.view.status import status_view
from dstream.cli.view.stream import StreamView
from dstream.errors import ConfigError, ConfigErrors, DStreamError, SourceLocation
from dstream.host import LifecycleOutcome
from dstream.host.provider.describe import Introduction
from dstream.kit import CheckResult, ConformanceReport
from dstream.kit.checks import CHECKS
from dstream.plugins import Installed
from dstream.protocol.lifecycle import ListedResource
from dstream.protocol.messages import Diagnostic, Difference, Hello, Operation, Resource
from dstream.state import FileStore, StoredState
from dstream.telemetry import StructuredLog
from dstream.telemetry.health import RunsWatch
from tests.watched import SITUATIONS

FOLDER = Path(__file__).parent
COLUMNS = (80, 160)
NOW = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)
PLAIN = painter(use_color=False)
SQL = "sys.Label = 'important' AND OrderTotal > 1000 AND Region IN ('north', 'south', 'east', 'west') OR Priority > 7"


def resource(kind: str, name: str, op: Operation, *diff: Difference, **more: Any) -> ListedResource:
    return ListedResource(name, f"azure-native:servicebus:{kind}", op, "planned", list(diff), **more)


CREATED = [
    resource("Topic", "orders", "create", Difference("duplicateDetection", None, True)),
    resource("Queue", "audit", "create", note="already exists; import with --import"),
    resource("Subscription", "orders/important", "create", Difference("maxDeliveryCount", None, 5)),
    resource("Rule", "orders/important/by-label", "create", Difference("sqlExpression", None, SQL)),
]
CHANGED = [
    resource(
        "Queue", "orders", "update", Difference("maxDeliveryCount", 10, 5), Difference("lockDuration", "PT30S", None)
    ),
    resource("Queue", "audit", "replace", Difference("requiresSession", False, True), holds=1284, held="messages"),
    resource("AuthorizationRule", "orders/reader", "delete"),
    resource("Topic", "events", "import"),
    resource("Queue", "returns", "same"),
]


def answer(*resources: ListedResource, task: str = "orders", **outcome: Any) -> Answer:
    found = LifecycleOutcome("servicebus", resources=resources, where="sb-retail (rg-retail)", **outcome)
    return Answer(task, "servicebus", 3.42, found)


def plan(resources: Sequence[ListedResource], message: str = "") -> Callable[[int], str]:
    return lambda columns: plan_view(resources, PLAIN, message=message, width=columns)


CAPACITY = "Capacity: Standard supports 1,000 operations/s per namespace; this task needs about 900/s at 100 rows/s."


class Terminal(io.StringIO):
    """Shows each line that is redrawn in place on a line of its own."""

    def isatty(self) -> bool:
        return True

    def text(self) -> str:
        return self.getvalue().replace("\r\x1b[K", "\n")


def init(tasks: Sequence[str]) -> Callable[[int], str]:
    """The question, the progress and the result of `init`, which creates the resources for each task."""

    def screen(columns: int) -> str:
        terminal = Terminal()
        width = max(map(len, tasks)) if len(tasks) > 1 else 0
        log = LifecycleLog(terminal, level="info", log_format="text", paint=PLAIN, task_width=width)
        log.expect(CREATED * len(tasks))
        for each in [(task, created) for task in tasks for created in CREATED]:
            report_creation(log, *each)
        log.of(tasks[0]).diagnostic(Diagnostic("the namespace is in tier Basic", name="orders"))
        log.end()
        done = [ListedResource(each.name, each.type, each.op, "done") for each in CREATED[:3]]
        failed = ListedResource(CREATED[3].name, CREATED[3].type, "create", "failed")
        asked = question("init", [answer(*CREATED, task=task) for task in tasks])
        return f"{asked} [y/N]: y\n{terminal.text()}\n{result_line([*done, failed], 3.42)}\n"

    return screen


def report_creation(log: LifecycleLog, task: str, created: ListedResource) -> None:
    events = log.of(task)
    is_failed = created.name.endswith("by-label")
    events.resource(Resource("started", "create", created.name, created.type))
    end, note = ("failed", "the filter has a syntax error at 'AND'") if is_failed else ("done", "")
    events.resource(Resource(end, "create", created.name, created.type, note=note))  # type: ignore[arg-type]


LIVE = {
    "phase": "reconnecting",
    "reason": "input mssql_cdc: db1.internal: Login timeout expired (HYT00)",
    "since": "2026-11-29T10:00:05.000Z",
    "started_at": "2026-11-29T09:12:04.000Z",
    "pid": 412,
    "lag_ms": 61_000,
}
STORED = StoredState(
    task="orders", input="mssql_cdc", output="servicebus", seq=7, stored_at="2026-11-29T09:59:59.800Z", run_id="7f3a9b21",
    state=msgspec.Raw(b'{"pos":["0000002a00000040000d",9],"tables":{"dbo.Orders":{"object_id":330576057}},"v":1}'),
)  # fmt: skip
FIGURES = [
    {"label": "messages", "name": "orders/audit", "text": "16 active · 0 dead-lettered"},
    {"label": "messages", "name": "orders/important", "text": "1,204 active · 2 dead-lettered"},
]


def status(of: Answer, stream: StreamView) -> Callable[[int], str]:
    return lambda columns: "\n".join(status_view(of, "dev", stream, PLAIN, age_s=0.2, width=columns)) + "\n"


DRIFTED = answer(
    resource("Queue", "orders", "update", Difference("maxDeliveryCount", 10, 77)),
    resource("Queue", "returns", "delete", note="deleted outside DStream"),
    resource("Topic", "events", "same"),
    figures=FIGURES,
)


def run(columns: int) -> str:
    log = io.StringIO()
    events = StructuredLog(log, now=lambda: NOW, columns=lambda: columns)
    events.log("info", "provider.ready", task="orders", role="output", provider="servicebus", pid=412, after_ms=740)
    events.log(
        "info", "run.started", task="orders", run="4b21f1fa", input="mssql_cdc", output="servicebus", resumed=False
    )
    events.log("warning", "run.reconnecting", task="orders", reason=LIVE["reason"], attempt=2, retry_s=1.5)
    events.log("info", "run.finished", task="orders", rows=1, rows_s=122, rejected=0, checkpoints=1, drained=True)
    return log.getvalue()


def live(make: Callable[[], RunsWatch]) -> Callable[[int], str]:
    return lambda columns: "\n".join(live_view(make(), columns, 24)) + "\n"


HCL = "\n".join(
    f'task "{name}" {{\n  input {{ provider = "{source}" }}\n  output {{ provider = "{target}" }}\n}}'
    for name, source, target in [("orders", "mssql_cdc", "servicebus"), ("a-long-task-name", "counter", "console")]
)
FINDINGS = {
    "this machine": [
        Finding("ok", "Pulumi engine", "v3.259.0 at /home/ada/.dstream/pulumi/v3.259.0/bin/pulumi (~/.dstream/pulumi)"),
        Finding("ok", "state folder", "/home/ada/retail/.dstream/state"),
    ],
    "orders": [
        Finding("ok", "input mssql_cdc", "0.1.0 at /home/ada/retail/.venv/bin/dstream-provider-mssql_cdc"),
        Finding("failure", "ODBC driver", "ODBC Driver 18 for SQL Server is not installed", "Install it: apt install msodbcsql18"),
    ],
}  # fmt: skip


def doctor(columns: int) -> str:
    return "\n".join(findings_view(FINDINGS, PLAIN, columns)) + "\n"


def provider_list(columns: int) -> str:
    hello = Introduction(Hello(1, "output", "servicebus", "0.1.0", []), None)
    found = [(Installed("servicebus", ["x"], "/home/ada/retail/.venv/bin/dstream-provider-servicebus"), hello)]
    return list_lines([*found, (Installed("mine", ["x"], "./mine"), None)]) + "\n"


def provider_test(columns: int) -> str:
    first, second, third = CHECKS[:3]
    results = (
        CheckResult(first, "passed"),
        CheckResult(second, "failed", "it did not become ready within 30 s; its last line was: connecting"),
        CheckResult(third, "skipped", "it needs becomes_ready"),
    )
    shown = "\n".join([*map(result_lines, results), "", report_line(ConformanceReport(None, results))])
    return click.unstyle(shown) + "\n"


def errors(columns: int) -> str:
    place = SourceLocation("dstream.hcl", 12, 5, '    tabels = ["dbo.Orders"]', 'task "orders" / input')
    one = ConfigError("config.unknown", 'unknown setting "tabels"', place=place, hint='Did you mean "tables"?')
    two = ConfigError("config.missing", 'the setting "queue" is missing', place=SourceLocation("dstream.hcl", 120, 3))
    stream = io.StringIO()
    shown: list[DStreamError] = [one, ConfigErrors([one, two])]
    for each in shown:
        show_errors(each, stream)
        stream.write("\n")
    return stream.getvalue()


SCREENS: Mapping[str, Callable[[int], str]] = {
    "plan": plan(CHANGED),
    "plan-new": plan(CREATED, CAPACITY),
    "plan-no-changes": plan(CHANGED[-1:]),
    "init": init(["orders"]),
    "init-all": init(["orders", "a-long-task-name"]),
    "status": status(answer(CHANGED[-1], figures=FIGURES), StreamView(STORED, None, NOW)),
    "status-drift": status(DRIFTED, StreamView(STORED, LIVE, NOW)),
    "run": run,
    **{f"run-{name}": live(make) for name, make in SITUATIONS.items()},
    "doctor": doctor,
    "provider-list": provider_list,
    "provider-test": provider_test,
    "errors": errors,
}


def compare(name: str, shown: Mapping[int, str]) -> None:
    """Compare with the file. Screens that look the same at all widths are kept once."""
    titles = {columns: f"── {columns} columns " for columns in COLUMNS}
    different = {} if len(set(shown.values())) == 1 else shown
    text = (
        "\n".join(f"{titles[columns]:─<{columns}}\n{each}" for columns, each in different.items()) or shown[COLUMNS[0]]
    )
    text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    file = FOLDER / f"{name}.txt"
    if os.environ.get("UPDATE_SCREENS"):
        file.write_text(text)
    assert text == file.read_text()


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_looks_as_kept(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {}
    for columns in COLUMNS:
        monkeypatch.setenv("COLUMNS", str(columns))
        shown[columns] = SCREENS[name](columns)
    compare(name, shown)


@pytest.mark.parametrize("name", SCREENS)
def test_no_line_is_wider_than_the_terminal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors and lists of providers are not wrapped, so that commands and paths can be copied."""
    monkeypatch.setenv("COLUMNS", "80")
    if name not in ("errors", "provider-list"):
        assert [line for line in SCREENS[name](80).splitlines() if len(line) > 80] == []


def test_the_screens_of_recorded_tasks_look_as_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dstream.hcl").write_text(HCL)
    store = FileStore(Path(".dstream/state"), "dev", "orders")
    with store.lease(datetime(2026, 11, 25, tzinfo=UTC)) as lease:
        store.save(STORED, lease)
    list_tasks.main([], standalone_mode=False)
    compare("list", dict.fromkeys(COLUMNS, capsys.readouterr().out))
    show_state.main(["orders"], standalone_mode=False)
    out = capsys.readouterr().out.replace(str(tmp_path), "/srv/retail")
    compare("state-show", dict.fromkeys(COLUMNS, out))


def test_every_kept_screen_is_tested() -> None:
    assert {file.stem for file in FOLDER.glob("*.txt")} == {*SCREENS, "list", "state-show"}

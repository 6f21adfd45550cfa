"""Places where foreign text enters before it is redacted, and files that others may have written."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
from azure.servicebus import exceptions as sdk
from dstream_mssql_cdc.errors import translate
from dstream_servicebus.retry import judge

import dstream
from dstream.audit import AuditEntry, AuditOrigin
from dstream.cli.lifecycle.flags import STDOUT, Flags
from dstream.cli.lifecycle.plan_file import SCHEMA_VERSION, PlanFile, PlannedTask, PlanOptions, write_plan
from dstream.cli.lifecycle.report import CommandReport
from dstream.cli.main import _exit_code
from dstream.cli.options import Options
from dstream.cli.render import show_errors
from dstream.cli.view.answer import Answer
from dstream.errors import DStreamError, LockedError
from dstream.host import LifecycleJob, ProviderSpec, StopRequest
from dstream.host.lifecycle.command import _Command
from dstream.host.provider.failures import by_provider
from dstream.host.run.faults import fault_of
from dstream.protocol.lifecycle import LifecycleOptions, decode_result
from dstream.protocol.messages import Error, Infrastructure
from dstream.redact import Redactor
from dstream.shown import on_stream
from dstream.state import FileStore, StoredState, TaskLock
from tests.fuzz.hostile_text import SECRET, Hostile, harmless, hides_secrets, terminal

_SPEC = ProviderSpec(["p"], {}, "p")


class _Events:
    """Keeps what a lifecycle command reports."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def log(self, level: str, event: str, /, **fields: Any) -> None:
        self.seen.append([level, event, fields])

    def resource(self, resource: object) -> None:
        self.seen.append(msgspec.to_builtins(resource))

    def diagnostic(self, diagnostic: object) -> None:
        self.seen.append(msgspec.to_builtins(diagnostic))


def _provider_of_a_lifecycle_command(hostile: Hostile, folder: Path) -> None:
    """Control lines, other lines and the result, as the host passes them on; and their views."""
    hostile.keeps_secrets = True
    job = LifecycleJob("orders", "plan", _SPEC, Infrastructure(task="orders", stack="dev"), LifecycleOptions())
    events = _Events()
    command = _Command(job, events, Redactor([SECRET]), StopRequest(), lambda: 0.0)
    command._link = cast("Any", SimpleNamespace(name="p"))
    command._handshake = cast("Any", SimpleNamespace(is_legacy=False, is_ready=True))
    listed = [_json_of(hostile.resource(op)) for op in ("create", "delete")]
    lines = [
        {"dstream": "diagnostic", "severity": "error", "message": hostile.text(), "name": hostile.text()},
        {"dstream": "log", "level": "info", "event": hostile.text(), hostile.text(): hostile.text()},
        *({"dstream": "resource", **each} for each in listed),
    ]
    for line in lines:
        command._take_control(_line(line))
    command._stderr(hostile.text())
    command._prose(hostile.text().encode("utf-8", "surrogatepass"))
    result = {
        "status": "Failed",
        "message": hostile.line(),
        "resources": listed,
        "metadata": {
            "where": hostile.text(),
            "outputs": {hostile.text(): hostile.value()},
            "figures": [{"label": "x"}],
        },
        "error": {"code": "x.y", "kind": "system", "message": hostile.text(), "hint": hostile.line()},
    }
    decoded = decode_result(_line(result))
    assert decoded is not None
    outcome = command._outcome(decoded)
    hides_secrets(json.dumps(events.seen))
    for as_json, markdown in ((False, None), (True, None), (False, STDOUT)):
        answer = Answer("orders", "p", outcome=outcome, error=None if markdown else outcome.error)
        with terminal() as shown:
            options = Options(no_color=True, as_json=as_json)
            report = CommandReport("plan", options, Flags(markdown=markdown), tasks=["orders"], stack="dev")
            report.plans([answer])
            report.end([answer])
        harmless(on_stream(shown.getvalue()) if as_json else shown.getvalue())
        hides_secrets(shown.getvalue())


def _services(hostile: Hostile, folder: Path) -> None:
    """Errors of the ODBC driver and of Azure's library, as the providers report them to the host."""
    hostile.keeps_secrets = True
    text = hostile.text()
    errors: list[DStreamError | None] = [
        translate(Exception(state, f"{text} ({number})"), connected=connected, login=hostile.text())
        for state, number, connected in (("28000", 18456, False), ("42000", 229, True), ("HY000", 50000, True))
    ]
    kinds = (sdk.ServiceBusAuthenticationError, sdk.ServiceBusAuthorizationError, sdk.ServiceBusError)
    errors += [judge(kind(message=text), hostile.text(), "queue").error for kind in kinds]
    for error in (each for each in errors if each is not None):
        told = Error(error.code, error.kind, _sendable(error.message), hint=_sendable(error.hint))
        stream = io.StringIO()
        show_errors(Redactor([SECRET]).error(fault_of(by_provider(_SPEC, told), "orders")), stream)
        harmless(on_stream(stream.getvalue()).replace("FORGED", ""))
        hides_secrets(stream.getvalue())


def _values(hostile: Hostile, folder: Path) -> None:
    """A valid HCL file of which each value is hostile."""
    file = folder / "values.hcl"
    text, name = _hcl(hostile), _hcl(hostile)
    provider = f"provider = {text}\n config {{\n {'x'} = {_hcl(hostile)}\n }}"
    task = f'task "t" {{\n input {{\n {provider}\n }}\n output {{\n provider = {name}\n }}\n}}\n'
    file.write_text(f"locals {{\n y = upper({_hcl(hostile)}) + 1\n}}\n{task}", "utf-8")
    for arguments in (["list"], ["list", "--json"], ["validate", "--static"], ["run", "t"]):
        _carried_out(["-c", str(file), *arguments])


def _files(hostile: Hostile, folder: Path) -> None:
    """Files of a checkout that DStream reads as its own."""
    store = FileStore(folder / ".dstream" / "state", "dev", "t")
    state = StoredState(
        task=hostile.text(),
        input=hostile.text(),
        output=hostile.text(),
        seq=1,
        stored_at=hostile.text(),
        run_id=hostile.text(),
        state=msgspec.Raw(json.dumps({hostile.text(): hostile.text()}).encode()),
    )
    _write(store.path, state)
    resources = [hostile.resource(op) for op in ("create", "delete")]
    task = PlannedTask(hostile.text(), hostile.text(), {}, resources, hostile.line(), {}, hostile.text())
    plan = PlanFile(
        SCHEMA_VERSION, "dstream.plan", hostile.text(), hostile.text(), hostile.text(), "init", PlanOptions(), [task]
    )
    write_plan(folder / "t.plan", msgspec.json.decode(_clean(plan), type=PlanFile))
    origin = AuditOrigin(hostile.text(), hostile.text(), 1)
    details = {"time": hostile.text(), "change": hostile.text(), "command": hostile.text(), "stack": hostile.text()}
    entry = AuditEntry(
        schema_version=1,
        phase="intent",
        tasks=(hostile.text(),),
        config=hostile.text(),
        origin=origin,
        dstream=dstream.__version__,
        previous="",
        **details,
    )
    (folder / "audit.jsonl").write_bytes(_clean(entry) + b"\n")
    note = {
        "pid": 1,
        "host": hostile.text(),
        "user": hostile.text(),
        "since": hostile.text(),
        "command": hostile.text(),
    }
    lock = folder / "t.lock"
    lock.write_bytes(_line(note))
    file = folder / "files.hcl"
    block = '{\n provider = "console"\n }'
    file.write_text(f'task "t" {{\n input {block}\n output {block}\n}}\n')
    for arguments in (
        ["-c", str(file), "state", "show", "t"],
        ["-c", str(file), "state", "export", "t"],
        ["plan", "--show", str(folder / "t.plan")],
        ["plan", "--show", str(folder / "t.plan"), "--json"],
        ["plan", "--show", str(folder / "t.plan"), "--markdown", "-"],
        ["audit", "verify", str(folder / "audit.jsonl")],
        ["audit", "verify", str(folder / "audit.jsonl"), "--json"],
    ):
        _carried_out(arguments)
    stream = io.StringIO()
    show_errors(fault_of(LockedError("x.y", f"locked by {TaskLock.holder(lock)}"), "t"), stream)
    harmless(on_stream(stream.getvalue()))


def _carried_out(arguments: list[str]) -> None:
    """Run a command in this process, and check what its streams would write."""
    with terminal() as shown:
        _exit_code(["--no-color", *arguments])
    harmless(on_stream(shown.getvalue()))


def _hcl(hostile: Hostile) -> str:
    """Return a text as a string of HCL."""
    text = _sendable(hostile.text())
    return json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{").replace("{{", "{ {")


def _sendable(text: str) -> str:
    """Return a text without what UTF-8 cannot express."""
    return text.encode("utf-8", "replace").decode()


def _json_of(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(value)
    return found


def _line(value: Any) -> bytes:
    return json.dumps(value).replace("\\ud800", "").encode()


def _clean(value: Any) -> bytes:
    return _line(json.loads(_text_of(value)))


def _text_of(value: Any) -> str:
    return json.dumps(msgspec.to_builtins(value, builtin_types=(msgspec.Raw,)), default=_raw)


def _raw(value: Any) -> Any:
    return json.loads(bytes(value))


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_clean(value))


PLACES: tuple[Callable[[Hostile, Path], None], ...] = (_provider_of_a_lifecycle_command, _services)
COMMANDS: tuple[Callable[[Hostile, Path], None], ...] = (_values, _files)
"""Places that are tested with whole commands."""

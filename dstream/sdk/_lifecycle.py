"""One lifecycle command in a provider's process: progress lines while it runs, then one line with the result.

The main thread does the work; one thread waits for `stop` and for the end of stdin, both of which cancel it.
"""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from dstream.errors import DStreamError
from dstream.protocol.lifecycle import LifecycleCommand, LifecycleResult, ListedResource
from dstream.protocol.messages import Diagnostic, ErrorBody, Stop, decode_control, encode
from dstream.protocol.messages import Difference as DifferenceLine
from dstream.protocol.messages import Resource as ResourceLine
from dstream.sdk._channel import Channel, live_on_without_parent
from dstream.sdk._infrastructure import (
    Difference,
    InfrastructureContext,
    InfrastructureProvider,
    Phase,
    Plan,
    Resource,
    Status,
)
from dstream.sdk._infrastructure import Result as Outcome
from dstream.sdk._stream import Stop as StopSign
from dstream.sdk._unhandled import unhandled
from dstream.signals import SignalListener


class LifecycleRun:
    """Carries out one command of a provider whose config is set."""

    def __init__(self, provider: InfrastructureProvider, channel: Channel, command: LifecycleCommand) -> None:
        self._provider = provider
        self._channel = channel
        self._command = command
        self.stop = StopSign()
        self._ended: list[ListedResource] = []

    def go(self) -> bool:
        """Return whether it succeeded. The last line is always written."""
        self._outlive_host()
        try:
            result = self._success(self._answer())
        except DStreamError as error:
            result = failed(error, self._ended)
        except Exception as error:  # noqa: BLE001 - completed steps must be reported, whatever failed
            result = failed(unhandled(error), self._ended)
        self._channel.send(encode(result))
        return result.status == "Success"

    def _outlive_host(self) -> None:
        """A host that dies cancels the command. Killing it midway would leave unrecorded resources behind."""
        self._channel.ignores_broken_pipe = True
        live_on_without_parent()
        SignalListener((signal.SIGTERM, signal.SIGINT), lambda _: self.stop.set()).start()
        if self._channel.has_host:  # the original host closes stdin after line 1
            threading.Thread(target=self._listen, name="host", daemon=True).start()

    def _listen(self) -> None:
        for line in self._channel.lines():
            if isinstance(decode_control(line), Stop):
                break
        self.stop.set()

    def _answer(self) -> Plan | Outcome | Status:
        context = InfrastructureContext(
            self._command.infrastructure, self._command.options, self.stop, self._report, self._diagnose
        )
        match self._command.command:
            case "init":
                return self._provider.init(context)
            case "plan":
                return self._provider.plan(context)
            case "status":
                return self._provider.status(context)
            case "destroy":
                return self._provider.destroy(context)

    def _report(self, resource: Resource, phase: Phase) -> None:
        if phase in ("done", "failed"):
            self._ended.append(_listed(resource, phase))
        if self._channel.has_host:
            self._channel.send(encode(ResourceLine(**msgspec.structs.asdict(_listed(resource, phase)))))

    def _diagnose(self, severity: Any, message: str, name: str) -> None:
        if self._channel.has_host:
            self._channel.send(encode(Diagnostic(message, severity, name)))

    def _success(self, answer: Plan | Outcome | Status) -> LifecycleResult:
        phase: Phase = "planned" if isinstance(answer, Plan) else "done"
        resources = [_listed(each, phase) for each in answer.resources] or self._ended
        if isinstance(answer, Plan):
            return _result(
                "Success", resources, {"plan": dict(answer.document), "where": answer.where}, answer.message, None
            )
        metadata: dict[str, Any] = {"outputs": dict(answer.outputs)}
        if isinstance(answer, Status):
            metadata |= {"figures": [each._asdict() for each in answer.figures], "where": answer.where}
        return _result("Success", resources, metadata, answer.message, None)


def failed(error: DStreamError, ended: Sequence[ListedResource] = ()) -> LifecycleResult:
    """The last line of a command that failed or never started."""
    body = ErrorBody(error.code, error.kind, error.message, error.hint, error.config_path)
    return _result("Failed", ended, {}, error.message, body)


def _result(
    status: Any,
    resources: Sequence[ListedResource],
    metadata: Mapping[str, Any],
    message: str,
    error: ErrorBody | None,
) -> LifecycleResult:
    summary = Counter(each.op for each in resources if each.phase != "failed")
    return LifecycleResult(
        status, list(resources), {"summary": dict(summary), "outputs": {}, **metadata}, message, error
    )


def _listed(resource: Resource, phase: Phase) -> ListedResource:
    return ListedResource(
        resource.name,
        resource.type,
        resource.op,
        phase,
        [_difference(each) for each in resource.diff],
        resource.note,
        resource.holds,
        resource.kind or msgspec.UNSET,
        resource.held or msgspec.UNSET,
        resource.confirm,
    )


def _difference(each: Difference) -> DifferenceLine:
    texts = [text or msgspec.UNSET for text in (each.label, each.old_text, each.new_text)]
    return DifferenceLine(each.path, each.old, each.new, *texts)

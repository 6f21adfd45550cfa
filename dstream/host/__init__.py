"""The host of a task's two providers: starts them, relays lines, stores the checkpoint, stops them in order.

Public names are imported on first use, so that `dstream list` does not load the code of `dstream run`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dstream.host.lifecycle.command import run_lifecycle
    from dstream.host.lifecycle.job import LifecycleEvents, LifecycleJob, LifecycleOutcome, NoInfrastructure
    from dstream.host.provider.describe import check_configs
    from dstream.host.provider.spec import ProviderSpec
    from dstream.host.run.attempt import timestamp
    from dstream.host.run.condition import CONDITION_PHASES, Condition, RunPhase
    from dstream.host.run.control_socket import ask_host, socket_path
    from dstream.host.run.job import (
        Events,
        Job,
        MetricValue,
        Progress,
        RestartPolicy,
        RunSummary,
        StopRequest,
    )
    from dstream.host.run.run import run_task
    from dstream.host.run.tracing import RowsSpan, TracedRows, Tracer

_MODULES = {
    "CONDITION_PHASES": "dstream.host.run.condition",
    "Condition": "dstream.host.run.condition",
    "Events": "dstream.host.run.job",
    "Job": "dstream.host.run.job",
    "LifecycleEvents": "dstream.host.lifecycle.job",
    "LifecycleJob": "dstream.host.lifecycle.job",
    "LifecycleOutcome": "dstream.host.lifecycle.job",
    "MetricValue": "dstream.host.run.job",
    "NoInfrastructure": "dstream.host.lifecycle.job",
    "Progress": "dstream.host.run.job",
    "ProviderSpec": "dstream.host.provider.spec",
    "RestartPolicy": "dstream.host.run.job",
    "RowsSpan": "dstream.host.run.tracing",
    "RunPhase": "dstream.host.run.condition",
    "RunSummary": "dstream.host.run.job",
    "StopRequest": "dstream.host.run.job",
    "TracedRows": "dstream.host.run.tracing",
    "Tracer": "dstream.host.run.tracing",
    "check_configs": "dstream.host.provider.describe",
    "ask_host": "dstream.host.run.control_socket",
    "run_lifecycle": "dstream.host.lifecycle.command",
    "run_task": "dstream.host.run.run",
    "socket_path": "dstream.host.run.control_socket",
    "timestamp": "dstream.host.run.attempt",
}

__all__ = [
    "CONDITION_PHASES",
    "Condition",
    "Events",
    "Job",
    "LifecycleEvents",
    "LifecycleJob",
    "LifecycleOutcome",
    "MetricValue",
    "NoInfrastructure",
    "Progress",
    "ProviderSpec",
    "RestartPolicy",
    "RowsSpan",
    "RunPhase",
    "RunSummary",
    "StopRequest",
    "TracedRows",
    "Tracer",
    "ask_host",
    "check_configs",
    "run_lifecycle",
    "run_task",
    "socket_path",
    "timestamp",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value

"""The host of a task's two providers: starts them, relays lines, keeps the checkpoint, stops them in order."""

from dstream.host.lifecycle.command import run_lifecycle
from dstream.host.lifecycle.job import LifecycleEvents, LifecycleJob, LifecycleOutcome, NoInfrastructure
from dstream.host.provider.spec import ProviderSpec
from dstream.host.run.control_socket import ask_host, socket_path
from dstream.host.run.job import (
    Events,
    Job,
    MetricValue,
    Phase,
    Progress,
    RestartPolicy,
    RunSummary,
    StopRequest,
)
from dstream.host.run.run import run_task

__all__ = [
    "Events",
    "Job",
    "LifecycleEvents",
    "LifecycleJob",
    "LifecycleOutcome",
    "MetricValue",
    "NoInfrastructure",
    "Phase",
    "Progress",
    "ProviderSpec",
    "RestartPolicy",
    "RunSummary",
    "StopRequest",
    "ask_host",
    "run_lifecycle",
    "run_task",
    "socket_path",
]

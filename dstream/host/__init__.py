"""The host of a task's two providers: starts them, relays lines, keeps the checkpoint, stops them in order."""

from dstream.host.control_socket import ask_host, socket_path
from dstream.host.job import (
    Events,
    Job,
    MetricValue,
    Phase,
    Progress,
    ProviderSpec,
    RestartPolicy,
    RunSummary,
    StopRequest,
)
from dstream.host.lifecycle import run_lifecycle
from dstream.host.lifecycle_job import LifecycleEvents, LifecycleJob, LifecycleOutcome, NoInfrastructure
from dstream.host.role_check import check_role
from dstream.host.run import run_task

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
    "check_role",
    "run_lifecycle",
    "run_task",
    "socket_path",
]

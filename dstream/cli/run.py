"""`dstream run`."""

from __future__ import annotations

import json
import signal
import sys
import uuid
from dataclasses import replace
from typing import Any

import click

from dstream.cli.options import Options, with_options
from dstream.cli.progress import RunLog
from dstream.cli.project import load_project, spec_of, task_of
from dstream.cli.render import show_errors
from dstream.config import Project, Task
from dstream.errors import DStreamError, exit_code
from dstream.host import Job, RestartPolicy, RunSummary, StopRequest, run_task

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@click.command(
    epilog="\b\nExamples:\n"
    "  dstream run orders\n"
    "  dstream run orders --once\n"
    "  dstream run orders --from latest --log-format json"
)
@click.argument("task")
@click.option("--once", is_flag=True, help="Up to the source's end as it is at the start, then stop.")
@click.option(
    "--from",
    "from_",
    metavar="POSITION",
    help="Where to start when no checkpoint is stored: earliest, latest, or what the input understands.",
)
@click.option("--no-restart", is_flag=True, help="End at the first failure, also when it may pass.")
@with_options
def run(task: str, options: Options, *, once: bool, from_: str | None, no_restart: bool) -> int:
    """Stream TASK's rows from its input to its output, until stopped.

    Ctrl-C drains: what was read is delivered and the checkpoint stored, then it ends with exit code 0. A second Ctrl-C
    ends it at once. The next run continues where the last one stopped; after a crash rows may repeat, none is lost.
    """
    project = load_project(options, only=[task])
    job = _job(project, task_of(project, task), once=once, from_=from_, no_restart=no_restart)
    log = RunLog(sys.stderr, level=options.level, log_format=options.log_format or "text")
    stop, caught = StopRequest(), _Caught()

    def on_signal(number: int, _: object) -> None:
        caught.signal = number
        stop.request()

    for number in _SIGNALS:
        signal.signal(number, on_signal)
    try:
        summary = run_task(job, events=log, stop=stop)
    except DStreamError as error:
        log.end()
        show_errors(error, sys.stderr)
        return exit_code(error, was_running=log.was_running)
    log.end()
    if options.as_json:
        click.echo(json.dumps(_document(summary)))
    if not summary.drained and caught.signal:
        return 128 + caught.signal
    return 0


class _Caught:
    """The last signal that asked for the end."""

    signal: int = 0


def _job(project: Project, task: Task, *, once: bool, from_: str | None, no_restart: bool) -> Job:
    policy = replace(task.restart, max_attempts=0) if no_restart else task.restart
    return Job(
        task=task.name,
        run_id=uuid.uuid4().hex[:8],
        input=spec_of(task.input, project),
        output=spec_of(task.output, project),
        state_dir=project.state_dir,
        stack=project.stack,
        cwd=project.folder,
        once=once,
        from_=from_,
        max_line=task.max_line,
        start_timeout_s=task.start_timeout_s,
        restart=RestartPolicy(policy.max_attempts, policy.initial_delay_s, policy.max_delay_s),
    )


def _document(summary: RunSummary) -> dict[str, Any]:
    progress = summary.progress
    return {
        "schema_version": 1,
        "task": summary.task,
        "run_id": summary.run_id,
        "started_at": summary.started_at.isoformat(),
        "ended_at": summary.ended_at.isoformat(),
        "drained": summary.drained,
        "rows": summary.rows,
        "rows_rejected": progress.rows_rejected,
        "rows_s": round(summary.rows_s, 1),
        "checkpoints": summary.checkpoints,
    }

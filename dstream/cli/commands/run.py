"""`dstream run`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import click

from dstream import streams
from dstream.allocation import keep_freed_memory
from dstream.audit import AuditedError
from dstream.cli.audited import AuditedChange
from dstream.cli.commands import metrics_option
from dstream.cli.commands.stdout_output import stdout_spec, when_unread
from dstream.cli.commands.task_runs import Ended, TaskRuns
from dstream.cli.commands.validate import checked_by_providers
from dstream.cli.completing import task_names
from dstream.cli.options import Options, with_options
from dstream.cli.project import infrastructure_of, load_project, output_spec_of, spec_of, task_of
from dstream.cli.stopping import stopped_by_signals
from dstream.cli.view.answer import error_document
from dstream.cli.view.progress import RunLog, TaskLog
from dstream.config import Project, Role, Task
from dstream.config.blocks.complaints import Complaints
from dstream.config.model import ROLES
from dstream.config.units import seconds
from dstream.errors import DStreamError, of_os_error
from dstream.garbage_collection import collect_as_usual
from dstream.host import Job, ProviderSpec, RestartPolicy, RunSummary, timestamp
from dstream.telemetry.exporting import exporting
from dstream.telemetry.health import RunsWatch

_UNLIMITED = 1 << 62
_DRAINING = "Draining: delivering the rows already read, for at most 25 s."


def _duration(context: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """Return `90s`, `10m` or `1h30m` in seconds."""
    found = seconds(value) if value is not None else None
    if value is not None and not found:
        raise click.BadParameter(f'invalid duration "{value}"; use e.g. 90s, 10m or 1h30m')
    return found


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The flags that a job is created with."""

    once: bool
    from_: str | None
    reset: bool
    standby: bool
    duration: float | None
    max_rows: int | None
    no_restart: bool

    @property
    def are_for_one_run(self) -> bool:
        """Whether they say where a run begins or ends, so that it cannot be restarted with them."""
        return bool(self.once or self.from_ or self.reset or self.duration or self.max_rows)


@click.command(
    epilog="\b\nExamples:\n"
    "  dstream run orders\n"
    "  dstream run orders --once\n"
    "  dstream run orders --from latest --log-format json\n"
    "  dstream run --all --fail-fast\n"
    "  dstream run orders --dry-run --max-rows 10 | jq .data"
)
@click.argument("tasks", metavar="TASK...", nargs=-1, shell_complete=task_names)
@click.option("--all", "all_tasks", is_flag=True, help="Run all tasks in the file concurrently.")
@click.option("--fail-fast", is_flag=True, help="When one task fails, drain and stop the others.")
@click.option("--once", is_flag=True, help="Read up to the current end of the source, then exit.")
@click.option("--duration", callback=_duration, metavar="TIME", help="Drain and exit after this time, e.g. 10m.")
@click.option(
    "--max-rows", type=click.IntRange(min=1), metavar="N", help="Drain and exit after reading at least this many rows."
)
@click.option(
    "--from",
    "from_",
    metavar="POSITION",
    help="Start position if no checkpoint exists: earliest, latest, or a position the input supports.",
)
@click.option("--standby", is_flag=True, help="If another host runs the task, wait and take over when it ends.")
@click.option("--reset", is_flag=True, help="Delete the stored checkpoint first.")
@click.option(
    "--output",
    "to_stdout",
    type=click.Choice(["-"]),
    help="The same as --dry-run.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Write the rows to stdout, one JSON object per line, as the output would get them. Publishes nothing, and "
    "stores no checkpoint. --max-rows limits the rows.",
)
@click.option("--no-restart", is_flag=True, help="Exit on the first failure instead of restarting.")
@click.option(
    "--metrics",
    callback=metrics_option.address,
    metavar="HOST:PORT",
    help="Serve a page with live figures, /metrics (Prometheus), /healthz and /readyz here; port 0 picks a free port.",
)
@click.option("--plain", is_flag=True, help="On a terminal, write log lines only, without the live view.")
@with_options
def run(
    tasks: Sequence[str],
    options: Options,
    *,
    all_tasks: bool,
    fail_fast: bool,
    metrics: metrics_option.Address | None,
    to_stdout: str | None,
    dry_run: bool,
    plain: bool,
    **wanted: Any,
) -> int:
    """Stream the rows of each TASK from its input to its output until stopped.

    Ctrl-C and SIGTERM drain: DStream delivers the rows already read, stores the checkpoint and exits with 0.
    A second signal exits immediately. SIGHUP reads the configuration again and restarts the tasks that have changed; if
    the process has a terminal, it drains. The next run resumes at the checkpoint; after a crash, rows may repeat, but
    none are lost. Several tasks run concurrently and independently; the exit code is the highest of all.
    With OTEL_EXPORTER_OTLP_ENDPOINT set, metrics and traces are exported to an OpenTelemetry Collector.
    """
    if tasks and all_tasks:
        raise click.UsageError("Use either TASK or --all, not both.")
    if not (tasks or all_tasks):
        raise click.UsageError("Specify at least one task, or use --all.")
    is_look = dry_run or to_stdout is not None
    if is_look and (len(tasks) != 1 or options.as_json or wanted["reset"] or wanted["standby"]):
        raise click.UsageError("A dry run takes one task, and neither --json, --reset nor --standby.")
    roles: Sequence[Role] = ["input"] if is_look else ROLES

    def read() -> tuple[Project, list[Task]]:
        project = load_project(options, only=None if all_tasks else tasks, roles=roles)
        return project, [task_of(project, name) for name in (project.tasks if all_tasks else dict.fromkeys(tasks))]

    project, chosen = read()
    if wanted["standby"]:  # it starts no provider until it takes over, which is too late for an error
        _refuse_bad_configs(project, chosen)
    streams.drop_unread_messages()
    watched = RunsWatch(task.name for task in chosen)
    log = RunLog(
        sys.stderr,
        level=options.level,
        log_format=options.log_format or "text",
        live=None if plain or is_look else watched,
    )
    flags = _Wanted(**wanted)
    ends: dict[str, Ended] = {}

    def load() -> list[Job] | None:
        try:
            project, chosen = read()
            jobs = [_job(project, task, flags, None) for task in chosen]
            _refuse_bad_configs(project, chosen)
        except (DStreamError, OSError) as error:
            refused = error if isinstance(error, DStreamError) else of_os_error(error)
            options.repeat_in(refused)
            log.log("error", "config.refused", code=refused.code, note="the tasks run on with the last configuration")
            log.show(refused)
            return None
        watched.keep([job.task for job in jobs])
        log.log("info", "config.reloaded", tasks=[job.task for job in jobs])
        return jobs

    with contextlib.ExitStack() as stack:
        output = stack.enter_context(stdout_spec(flags.max_rows)) if is_look else None
        jobs = [_job(project, task, flags, output) for task in chosen]
        stack.enter_context(metrics_option.serving(metrics, watched, log))
        export = None if is_look else stack.enter_context(exporting(os.environ, log.log, watched))

        def log_of(job: Job) -> TaskLog:
            watch = watched.begin(job.task)
            if export is None:
                return log.of(job.task, watch)
            telemetry = export.run(job)
            return log.of(job.task, watch, telemetry, tracer=telemetry.tracer)

        runs = TaskRuns(jobs, log_of, fail_fast=fail_fast, load=load)
        if output:
            when_unread(lambda: runs.stop(signal.SIGPIPE))
        reset = stack.enter_context(AuditedChange(project, "run --reset", [task.name for task in chosen]))
        if wanted["reset"]:
            reset.begin()
        collect_as_usual()
        keep_freed_memory()
        on_hangup = None if is_look or flags.are_for_one_run else runs.reload
        with stopped_by_signals(runs.stop, log.say, _DRAINING, on_hangup):
            for ended in runs.ends():
                ends[ended.job.task] = ended
                if isinstance(ended.outcome, DStreamError):
                    options.repeat_in(ended.outcome)
                    log.show(ended.outcome)
        reset.end(
            [
                AuditedError(each.outcome.code, each.job.task)
                for each in ends.values()
                if isinstance(each.outcome, DStreamError)
            ]
        )
    log.end()
    if options.as_json:
        _show_json(list(ends.values()), several=all_tasks or len(chosen) > 1)
    return max((ended.exit_code for ended in ends.values()), default=0)


def _refuse_bad_configs(project: Project, tasks: Sequence[Task]) -> None:
    """Let the providers check the configs as `dstream validate` does. Raises ConfigErrors."""
    complaints = Complaints()
    checked_by_providers(project, tasks, complaints)
    complaints.raise_if_any()


def _job(project: Project, task: Task, wanted: _Wanted, look: ProviderSpec | None) -> Job:
    """Return the job. `look`: the output that rows are shown with instead of being delivered.

    A look is never restarted, since it would show rows again, and does not limit what is unacknowledged.
    """
    policy = replace(task.restart, max_attempts=0) if wanted.no_restart or look else task.restart
    limits: dict[str, Any] = {"max_in_flight": _UNLIMITED, "max_in_flight_bytes": _UNLIMITED} if look else {}
    return Job(
        task=task.name,
        run_id=uuid.uuid4().hex[:8],
        input=spec_of(task.input, project),
        output=look or output_spec_of(task, project),
        transform=spec_of(task.transform, project) if task.transform else None,
        transforms=[each.transform for each in task.transforms if each.transform],
        transforms_place=task.transforms[0].place if task.transforms else None,
        is_look=look is not None,
        state=project.state_of(task),
        infrastructure=infrastructure_of(project, task.name),
        cwd=project.folder,
        once=wanted.once,
        from_=wanted.from_,
        reset=wanted.reset,
        standby=wanted.standby,
        max_duration_s=wanted.duration,
        max_rows=wanted.max_rows,
        max_line=task.max_line,
        start_timeout_s=task.start_timeout_s,
        restart=RestartPolicy(policy.max_attempts, policy.initial_delay_s, policy.max_delay_s),
        socket_dir=None if look else project.socket_dir,
        **limits,
    )


def _show_json(ends: Sequence[Ended], *, several: bool) -> None:
    """Print one run as the document itself, and several runs as a list."""
    if several:
        click.echo(json.dumps({"schema_version": 1, "runs": [_document(ended) for ended in ends]}))
    else:
        click.echo(json.dumps({"schema_version": 1, **_document(ends[0])}))


def _document(ended: Ended) -> dict[str, Any]:
    outcome = ended.outcome
    job = ended.job
    document: dict[str, Any] = {
        "task": job.task,
        "run_id": job.run_id,
        "input": job.input.label,
        "transform": job.transform.label if job.transform else None,
        "output": job.output.label,
        "exit_code": ended.exit_code,
    }
    if isinstance(outcome, DStreamError):
        return {
            **document,
            "phase": "failed",
            "error": error_document(outcome),
        }
    assert isinstance(outcome, RunSummary)
    return {
        **document,
        "started_at": timestamp(outcome.started_at),
        "ended_at": timestamp(outcome.ended_at),
        "phase": outcome.progress.condition.phase,
        "drained": outcome.drained,
        "rows": outcome.rows,
        "rows_rejected": outcome.progress.rows_rejected,
        "rows_s": round(outcome.rows_s, 1),
        "checkpoints": outcome.checkpoints,
        "restarts": outcome.progress.restarts,
    }

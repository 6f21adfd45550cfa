"""`dstream init`, `plan`, `status` and `destroy`: the infrastructure that a task's output writes to."""

from __future__ import annotations

import sys
from dataclasses import replace

import click

from dstream.cli.audited import AuditedChange
from dstream.cli.lifecycle.audit_details import audited_errors, result_details
from dstream.cli.lifecycle.change import change
from dstream.cli.lifecycle.flags import Flags, with_flags
from dstream.cli.lifecycle.guard import SHOW_NAMES, hides_names, refuse_ignored_flags
from dstream.cli.lifecycle.plan_file import PlanOptions, planned, read_plan, write_plan
from dstream.cli.lifecycle.report import CommandReport
from dstream.cli.lifecycle.request import Request
from dstream.cli.options import Options
from dstream.cli.render import show_errors
from dstream.cli.view.stream import stream_of
from dstream.errors import exit_code
from dstream.shown import shown


@click.command(
    epilog="\b\nExamples:\n"
    "  dstream plan orders\n"
    "  dstream plan orders --destroy\n"
    "  dstream plan orders --destroy --orphan returns\n"
    "  dstream plan orders --exclude returns\n"
    "  dstream plan --all --detailed-exitcode --out plan.json --markdown plan.md\n"
    "  dstream plan --all --out plan.json --sign key.pem\n"
    "  dstream plan --show plan.json"
)
@with_flags(
    "target_dependents",
    "exclude",
    "replace",
    "destroy",
    "orphan",
    "refresh",
    "import_",
    "out",
    "sign",
    "show",
    "verify",
    "detailed_exitcode",
)
def plan(flags: Flags, options: Options) -> int:
    """Preview the changes that init would make to the infrastructure of each TASK. Nothing is changed."""
    if flags.show:
        return _show(flags, options)
    if flags.orphan and not flags.destroy:
        raise click.UsageError("--orphan requires --destroy: a task that is not in the file can only be destroyed.")
    request = Request(
        options,
        None if flags.all_tasks else flags.tasks,
        by_record=flags.destroy,
        destroys=flags.destroy,
        orphan=flags.orphan,
    )
    report = CommandReport("plan", options, flags, tasks=request.names, stack=request.project.stack)
    if not flags.destroy:
        request.refuse_declared_twice(options)
    wanted = flags.lifecycle(destroy=flags.destroy)
    answers = request.ask("plan", lambda _: wanted, report.log, needs_infrastructure=not flags.all_tasks)
    answers = refuse_ignored_flags(answers, flags)
    code = request.exit_code(answers)
    saved = None
    if flags.out and not code:
        made_with = PlanOptions.of(flags.lifecycle(), all_tasks=flags.all_tasks)
        made = planned(request.project, "destroy" if flags.destroy else "init", made_with, answers)
        saved = write_plan(flags.out, made, flags.sign)
    report.plans(answers)
    if saved:
        report.hint(f"\nSaved {saved.path}: {saved.seal}.")
    changed = [answer.task for answer in answers if answer.has_changes]
    if any(map(hides_names, answers)):
        report.hint(f"\nA sensitive value hides names, so init and destroy would refuse this plan. {SHOW_NAMES}")
    elif changed and not code and not any(answer.losing for answer in answers):
        report.hint(f"\nNext: {_next(flags, options, changed)}")
    report.end(answers, saved)
    return code or exit_code("changes" if changed and flags.detailed_exitcode else "done")


@click.command(
    epilog="\b\nExamples:\n"
    "  dstream init orders\n"
    "  dstream init orders --yes --lock-timeout 5m\n"
    "  dstream init --plan plan.json --yes\n"
    "  dstream init --plan plan.json --verify public.pem --yes\n"
    "  dstream init --plan plan.json --replan --yes\n"
    "  dstream init orders --replace returns"
)
@with_flags(
    "target_dependents",
    "exclude",
    "replace",
    "plan_file",
    "verify",
    "replan",
    "refresh",
    "import_",
    "lock_timeout",
    "allow_data_loss",
    "confirm",
    "yes",
)
def init(flags: Flags, options: Options) -> int:
    """Create or update the infrastructure of each TASK: show the plan, ask for confirmation, apply it."""
    return change("init", flags, options)


@click.command(
    epilog="\b\nExamples:\n"
    "  dstream plan orders --destroy\n"
    "  dstream destroy orders\n"
    "  dstream destroy orders --orphan returns"
)
@with_flags(
    "target_dependents",
    "exclude",
    "plan_file",
    "verify",
    "orphan",
    "refresh",
    "lock_timeout",
    "allow_data_loss",
    "confirm",
    "yes",
)
def destroy(flags: Flags, options: Options) -> int:
    """Delete the infrastructure that init created for each TASK, after confirmation."""
    return change("destroy", flags, options)


@click.command(epilog="\b\nExamples:\n  dstream status orders\n  dstream status --all --detailed-exitcode")
@with_flags("refresh", "refresh_only", "lock_timeout", "detailed_exitcode")
def status(flags: Flags, options: Options) -> int:
    """Show drift between the recorded and the actual infrastructure of each TASK, and its last checkpoint."""
    request = Request(options, None if flags.all_tasks else flags.tasks, by_record=True)
    report = CommandReport("status", options, flags, tasks=request.names, stack=request.project.stack)
    wanted = flags.lifecycle()
    with AuditedChange(request.project, options.audited("status --refresh-only"), request.names) as audited:
        if flags.refresh_only:
            audited.begin()
        answers = request.ask("status", lambda _: wanted, report.log, needs_infrastructure=False)
        is_interrupted = any(answer.is_interrupted for answer in answers)
        audited.end(audited_errors(answers), is_interrupted=is_interrupted, tasks=result_details(answers))
    streams = [None if request.is_deployment else stream_of(request.project, answer.task) for answer in answers]
    report.statuses(answers, streams)
    report.end(
        answers,
        figures=[[dict(each) for each in answer.outcome.figures] if answer.outcome else [] for answer in answers],
        stream=[stream.document() if stream else None for stream in streams],
    )
    unreadable = [stream.error for stream in streams if stream and stream.error]
    for error in unreadable:
        options.repeat_in(error)
        show_errors(error, sys.stderr)
    has_drifted = any(answer.has_changes for answer in answers) and not flags.refresh_only
    code = request.exit_code(answers) or (exit_code(unreadable[0]) if unreadable else 0)
    return code or exit_code("changes" if has_drifted and flags.detailed_exitcode else "done")


def _show(flags: Flags, options: Options) -> int:
    """Show a saved plan without starting a provider."""
    assert flags.show is not None
    saved = read_plan(flags.show, flags.verify)
    made = saved.plan
    answers = made.answers(flags.tasks or None)
    flags = replace(flags, destroy=made.command == "destroy")
    report = CommandReport("plan", options, flags, tasks=[answer.task for answer in answers], stack=shown(made.stack))
    report.plans(answers)
    report.hint(f"\nCreated {shown(made.created)}: {saved.seal}.")
    changed = [answer.task for answer in answers if answer.has_changes]
    if changed:
        named = changed if flags.tasks else []
        command = ["dstream", made.command, *named, "--plan", str(flags.show), *options.again]
        report.hint(f"Next: {' '.join(command)}")
    report.end(answers, saved)
    return exit_code("changes" if changed and flags.detailed_exitcode else "done")


def _next(flags: Flags, options: Options, tasks: list[str]) -> str:
    """Return the command that applies the plan."""
    command = "destroy" if flags.destroy else "init"
    named = [] if flags.out else ["--all"]
    of_orphan = ["--orphan", flags.orphan] if flags.orphan else []
    parts = ["dstream", command, *(named if flags.all_tasks else flags.tasks if flags.orphan else tasks), *of_orphan]
    if flags.out:
        return " ".join([*parts, "--plan", str(flags.out), *options.again])
    parts += flags.chosen
    parts += [*["--import"] * flags.import_, *["--no-refresh"] * (not flags.refresh)]
    return " ".join([*parts, *options.again])

"""`init` and `destroy`: show the plan, refuse unsafe changes, ask for confirmation, apply the plan."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace

import click
import msgspec

from dstream.cli.audited import AuditedChange
from dstream.cli.lifecycle.audit_details import audited_errors, plan_details, result_details
from dstream.cli.lifecycle.current_plan import refuse_other_plans
from dstream.cli.lifecycle.flags import Flags
from dstream.cli.lifecycle.guard import (
    refuse_data_loss,
    refuse_hidden_names,
    refuse_ignored_flags,
    refuse_unconfirmed,
    without_running_streams,
)
from dstream.cli.lifecycle.plan_file import Command, PlanFile, SavedPlan, read_plan, refuse_foreign, refuse_moved
from dstream.cli.lifecycle.replan import refuse_unplanned
from dstream.cli.lifecycle.report import CommandReport
from dstream.cli.lifecycle.request import Request
from dstream.cli.options import Options
from dstream.cli.view.answer import Answer
from dstream.cli.view.question import question
from dstream.cli.view.words import loss
from dstream.errors import ConfigError, DStreamError, RefusedError, exit_code
from dstream.protocol.lifecycle import LifecycleOptions
from dstream.shown import shown
from dstream.state import has_checkpoint, open_store


def change(command: Command, flags: Flags, options: Options) -> int:
    """Plan every task first and change nothing unless all plans succeed. Return the exit code."""
    _refuse_without_terminal(command, flags, options.again)
    file = _read_plan(command, flags)
    if file:
        flags = _as_planned(flags, file.plan)
    destroys = command == "destroy"
    request = Request(
        options,
        None if flags.all_tasks else flags.tasks,
        by_record=destroys,
        destroys=destroys,
        orphan=flags.orphan,
    )
    if request.project.is_untrusted:
        raise RefusedError(
            "untrusted.refused",
            f"{command} changes nothing for an untrusted file",
            hint="Review the file, then run the command without --untrusted and DSTREAM_UNTRUSTED.",
        )
    if command == "init":
        request.refuse_declared_twice(options)
    report = CommandReport(command, options, flags, tasks=request.names, stack=request.project.stack)
    plans = _plans(command, flags, request, report, file, options.again)
    report.plans(plans)
    again = [*([] if file else flags.chosen), *options.again]
    if file:
        plans = _refuse_unapproved(file, flags, request, plans, options.again)
    plans = refuse_hidden_names(command, plans)
    if not flags.allow_data_loss and not request.exit_code(plans):
        plans = refuse_data_loss(command, plans, again)
    if flags.allow_data_loss and not request.exit_code(plans):
        flags = _with_typed_names(flags, plans)
        plans = refuse_unconfirmed(command, plans, flags.confirm, again)
    plans = _with_orphan(command, flags, plans)
    with _without_streams(command, flags, request, report, plans) as answers:
        if not request.exit_code(answers) and any(each.may_change for each in answers):
            if not (flags.yes or file or _confirmed(command, answers)):
                click.echo("Nothing was changed.", err=True)
                return exit_code("declined")
            with AuditedChange(request.project, options.audited(command), request.names) as audited:
                audited.begin(**plan_details(answers, file))
                answers = _carry_out(command, flags, request, report, answers)
                is_interrupted = any(answer.is_interrupted for answer in answers)
                audited.end(audited_errors(answers), is_interrupted=is_interrupted, tasks=result_details(answers))
                try:
                    report.results(answers)
                    for answer in answers:
                        _mention_checkpoint(command, answer, request, report, options.again)
                finally:
                    report.end(answers)
                return request.exit_code(answers)
    report.end(answers)
    return request.exit_code(answers)


def _read_plan(command: Command, flags: Flags) -> SavedPlan | None:
    if flags.plan_file:
        return read_plan(flags.plan_file, flags.verify)
    if flags.verify:
        raise RefusedError(
            "plan.unsigned",
            f"`dstream {command}` needs a signed plan file, because of --verify or DSTREAM_VERIFY_PLAN",
            hint=f"Apply one: dstream {command} --plan FILE",
        )
    return None


def _plans(
    command: Command,
    flags: Flags,
    request: Request,
    report: CommandReport,
    file: SavedPlan | None,
    again: Sequence[str],
) -> list[Answer]:
    """Return new plans, also for a plan file: what is shown, guarded and applied never comes from the file."""
    if file:
        refuse_foreign(file.plan, file.path, command, request.project, request.names, again)
        if not flags.replan:
            refuse_moved(file.plan, request.project, request.names, again)
    wanted = msgspec.structs.replace(
        flags.lifecycle(destroy=command == "destroy"),
        init_follows=command == "init" and (flags.yes or file is not None),
    )
    answers = request.ask("plan", lambda _: wanted, report.log, needs_infrastructure=not flags.all_tasks)
    return refuse_ignored_flags(answers, flags)


def _refuse_unapproved(
    file: SavedPlan, flags: Flags, request: Request, plans: Sequence[Answer], again: Sequence[str]
) -> list[Answer]:
    if flags.replan:
        return refuse_unplanned(file.plan, file.path, plans, again, all_tasks=file.plan.options.all_tasks)
    return refuse_other_plans(file.plan, request.project, plans, again)


def _carry_out(
    command: Command, flags: Flags, request: Request, report: CommandReport, plans: Sequence[Answer]
) -> list[Answer]:
    """Apply the plans that change anything; the others keep their plan as the answer."""
    by_task = {answer.task: answer for answer in plans}

    def options_of(task: str) -> LifecycleOptions:
        outcome = by_task[task].outcome
        shown = dict(outcome.plan) if outcome and outcome.plan else None
        is_exact = flags.plan_file is not None
        return msgspec.structs.replace(flags.lifecycle(), expect=shown, exact=is_exact)

    tasks = [task for task in request.tasks if by_task[task.name].may_change]
    for answer in request.ask(command, options_of, report.log, tasks=tasks):
        by_task[answer.task] = answer
    return [by_task[task.name] for task in request.tasks]


def _without_streams(
    command: Command, flags: Flags, request: Request, report: CommandReport, plans: list[Answer]
) -> AbstractContextManager[list[Answer]]:
    """Keep streams from running whose infrastructure is deleted; a deployment stops and starts them itself."""
    if request.is_deployment:
        return nullcontext(plans)
    return without_running_streams(command, request.project, plans, report.log.say, flags.lock_timeout)


def _mention_checkpoint(
    command: Command, answer: Answer, request: Request, report: CommandReport, again: Sequence[str]
) -> None:
    """Mention that the next run resumes at a checkpoint, although what it writes to is gone or new."""
    if request.is_deployment:
        return
    done = {each.op for each in answer.resources if each.phase == "done"}
    if not done & ({"delete"} if command == "destroy" else {"create", "replace"}):
        return
    try:
        with closing(open_store(request.project.state, answer.task)) as store:
            if not has_checkpoint(store):
                return
    except DStreamError as error:  # the change itself is done
        report.log.say(f"Whether {answer.task} has a checkpoint is unknown: {error.message}")
        return
    what = "remains" if command == "destroy" else "is older than what was created"
    remove = " ".join(["dstream", "state", "rm", answer.task, *again])
    report.hint(f"The checkpoint of {answer.task} {what}: its next run resumes there. To start from scratch: {remove}")


def _as_planned(flags: Flags, file: PlanFile) -> Flags:
    """Return the flags, with those that the plan was made with."""
    return replace(
        flags,
        tasks=flags.tasks or [each.task for each in file.tasks],
        target=file.options.target,
        target_dependents=file.options.target_dependents,
        exclude=file.options.exclude,
        replace=file.options.replace,
        refresh=file.options.refresh,
        import_=file.options.import_,
    )


def _refuse_without_terminal(command: Command, flags: Flags, again: Sequence[str]) -> None:
    if flags.yes or sys.stdin.isatty():
        return
    what = "--all" if flags.all_tasks else " ".join(flags.tasks)
    if flags.plan_file:
        look = ["dstream", "plan", "--show", shlex.quote(str(flags.plan_file)), *again]
    else:
        look = [
            "dstream",
            "plan",
            what,
            *["--destroy"] * (command == "destroy"),
            *_orphan(flags),
            *flags.chosen,
            *again,
        ]
    raise ConfigError(
        "lifecycle.needs_yes",
        f"`dstream {command}` needs confirmation, and stdin is not a terminal",
        hint=f"Confirm with --yes. Preview it first: {' '.join(look)}",
    )


def _orphan(flags: Flags) -> list[str]:
    return ["--orphan", shlex.quote(flags.orphan)] if flags.orphan else []


def _with_orphan(command: Command, flags: Flags, plans: list[Answer]) -> list[Answer]:
    """Complete the suggested commands: an orphan needs a task whose settings to use."""
    for each in (answer.error for answer in plans if answer.error and flags.orphan):
        task = f"dstream {command} {flags.orphan}"
        each.hint = each.hint.replace(task, " ".join(["dstream", command, *flags.tasks, *_orphan(flags)]))
    return plans


def _with_typed_names(flags: Flags, plans: Sequence[Answer]) -> Flags:
    """Ask at a terminal for the names of resources that contain others' resources; `--yes` does not skip this."""
    typed = list(flags.confirm)
    for each in (resource for answer in plans for resource in answer.to_confirm if resource.confirm not in typed):
        if not sys.stdin.isatty():
            break
        click.echo(f"\n{shown(f'{each.name} {loss(each)}')}.", err=True)
        typed.append(click.prompt(f"Type {shown(each.confirm)} to confirm", err=True))
    return replace(flags, confirm=typed)


def _confirmed(command: Command, plans: Sequence[Answer]) -> bool:
    return click.confirm(f"\n{question(command, [answer for answer in plans if answer.may_change])}", err=True)

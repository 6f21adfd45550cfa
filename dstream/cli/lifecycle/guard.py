"""What `init` and `destroy` refuse before confirmation: data loss, and deleting what a running stream writes to."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from dstream.cli.lifecycle.flags import Flags
from dstream.cli.view.answer import Answer
from dstream.cli.view.words import few, loss
from dstream.config import Project
from dstream.errors import ConfigError, LockedError, RefusedError
from dstream.redact import MASK
from dstream.state import TaskLockHolder, open_store

SHOW_NAMES = 'Show the value that they are made of: nonsensitive(env("NAME")).'
_POLL_S = 0.2


def refuse_data_loss(command: str, answers: Sequence[Answer], again: Sequence[str]) -> list[Answer]:
    """Set the error `plan.data_loss` on answers that would lose data; the provider checks again with newer figures.

    `again`: the options that the suggested command repeats.
    """
    return [replace(each, error=_data_loss(command, each, again)) if each.losing else each for each in answers]


def refuse_hidden_names(command: str, answers: Sequence[Answer]) -> list[Answer]:
    """Set the error `plan.hidden_name` on answers that change resources with hidden names, which nobody can approve."""
    return [replace(each, error=_hidden_name(command, each)) if hides_names(each) else each for each in answers]


def hides_names(answer: Answer) -> bool:
    """Return whether the plan changes resources whose names or place are hidden."""
    where = answer.outcome.where if answer.outcome else ""
    changed = [each.name for each in answer.resources if each.op not in ("same", "refresh")]
    return bool(changed) and any(MASK in text for text in [where, *changed])


def refuse_unconfirmed(
    command: str, answers: Sequence[Answer], confirmed: Collection[str], again: Sequence[str]
) -> list[Answer]:
    """Set the error `plan.not_confirmed` on answers with a resource whose name the user has not typed."""
    return [
        replace(each, error=_not_confirmed(command, each, confirmed, again))
        if any(resource.confirm not in confirmed for resource in each.to_confirm)
        else each
        for each in answers
    ]


def refuse_ignored_flags(answers: Sequence[Answer], flags: Flags) -> list[Answer]:
    """Set the error `lifecycle.unsupported_flag` on plans of providers that do not know --exclude or --replace."""
    return [replace(each, error=_ignored_flag(each, flags) or each.error) for each in answers]


@contextmanager
def without_running_streams(
    command: str, project: Project, answers: Sequence[Answer], say: Callable[[str], None], timeout_s: float
) -> Iterator[list[Answer]]:
    """Hold the lock of each task whose plan replaces or deletes something and is not refused, so that no run can start.

    Wait up to `timeout_s` for locks that others hold, and say so with `say`. Tasks whose lock is still held then get
    the error `lifecycle.running` or `infra.locked`.
    """
    deadline_s = time.monotonic() + timeout_s
    with ExitStack() as locks:
        yield [
            _locked(command, project, each, locks, say, deadline_s) if each.is_success and each.removes else each
            for each in answers
        ]


def _ignored_flag(answer: Answer, flags: Flags) -> ConfigError | None:
    for each in answer.resources:
        if each.name in flags.exclude and each.op not in ("same", "refresh"):
            flag = "--exclude"
        elif each.name in flags.replace and not flags.target and each.op in ("same", "refresh", "update"):
            flag = "--replace"
        else:
            continue
        return ConfigError(
            "lifecycle.unsupported_flag",
            f"{answer.provider} plans to {each.op} {each.name}: it does not support {flag}"
            if flag == "--exclude"
            else f"{answer.provider} does not plan to replace {each.name}: it does not support {flag}",
            hint=f"Omit {flag}.",
        )
    return None


def _hidden_name(command: str, answer: Answer) -> RefusedError:
    return RefusedError(
        "plan.hidden_name",
        f"{command} of {answer.task} would change resources whose names or place are hidden, since they contain a "
        "sensitive value",
        hint=SHOW_NAMES,
    )


def _data_loss(command: str, answer: Answer, again: Sequence[str]) -> RefusedError:
    lost = few([f"{each.name} {loss(each)}" for each in answer.losing], "; ")
    confirm = [f"--confirm {each.confirm}" for each in answer.to_confirm]
    allowed = " ".join(["dstream", command, answer.task, "--allow-data-loss", *confirm, *again])
    return RefusedError(
        "plan.data_loss",
        f"{command} of {answer.task} would lose data: {lost}",
        hint=f"Drain it first, or allow the loss: {allowed}",
    )


def _not_confirmed(command: str, answer: Answer, confirmed: Collection[str], again: Sequence[str]) -> RefusedError:
    missing = [each for each in answer.to_confirm if each.confirm not in confirmed]
    lost = few([f"{each.name} {loss(each)}" for each in missing], "; ")
    flags = ["--allow-data-loss", *(f"--confirm {each.confirm}" for each in answer.to_confirm)]
    return RefusedError(
        "plan.not_confirmed",
        f"{command} of {answer.task} is not confirmed: {lost}",
        hint=f"To delete all of it: {' '.join(['dstream', command, answer.task, *flags, *again])}",
    )


def _locked(
    command: str, project: Project, answer: Answer, locks: ExitStack, say: Callable[[str], None], deadline_s: float
) -> Answer:
    store = locks.enter_context(closing(open_store(project.state, answer.task)))
    is_told = False
    while True:
        try:
            locks.enter_context(store.lease(datetime.now(UTC), command))
        except LockedError:
            holder = store.holder()
            if time.monotonic() >= deadline_s:
                return replace(answer, error=_held(command, answer.task, holder))
            if not is_told:
                say(f"Waiting for {holder or 'another process'}, which has locked {answer.task}.")
                is_told = True
            time.sleep(_POLL_S)
        else:
            return answer


def _held(command: str, task: str, holder: TaskLockHolder | None) -> LockedError:
    who = holder or "another process"
    if holder is None or holder.command in ("", "run"):
        return LockedError(
            "lifecycle.running",
            f"{task} is locked by {who}: {command} would delete infrastructure that its run writes to",
            hint="Stop the run first (Ctrl-C or SIGTERM); it drains without losing data.",
        )
    return LockedError("infra.locked", f"{task} is locked by {who}", hint="Wait, or set --lock-timeout.")

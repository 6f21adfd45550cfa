"""Checks for the lifecycle commands. With infrastructure, they create and delete what the config declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dstream.kit.dialogue import Dialogue
from dstream.kit.subject import NotObservable, Subject, Violation, changed_names, invalid_config
from dstream.protocol.lifecycle import LifecycleName, LifecycleResult, ListedResource
from dstream.protocol.messages import Resource, Stop

_UNKNOWN_OPTION = "option_of_a_later_version"


def refuses_lifecycle_commands(subject: Subject) -> None:
    """Without infrastructure, it answers a lifecycle command with Failed and an error of kind config."""
    result = _ask(subject, "status")
    if result.status != "Failed":
        raise Violation('it has no capability infrastructure but answers `status` with "Success"')
    if result.error is None or result.error.kind != "config":
        kind = f'of kind "{result.error.kind}"' if result.error else "without an error"
        raise Violation(f'it answers `status` with a "Failed" {kind}; it must be "config"')


def rejects_an_invalid_config_in_plan(subject: Subject) -> None:
    """A lifecycle command with an invalid config ends with Failed and an error that names the setting."""
    config = invalid_config(subject)
    result = _ask(subject, "plan", config)
    if result.status == "Success":
        if "describe" in subject.capabilities:
            raise Violation(f"it accepts a config that its schema rejects: {changed_names(config, subject)}")
        raise NotObservable("it accepts any config")
    error = result.error
    if error is None:
        raise Violation('its last line has no "error" with code and kind')
    if error.kind != "config":
        raise Violation(f'the kind of its error is "{error.kind}"; it must be "config" ({error.message})')
    if not error.config_path:
        raise Violation(f"its error has no config_path, so no line can be shown ({error.message})")


def plans_without_changing_anything(subject: Subject) -> None:
    """`plan` changes nothing: run twice, it returns the same plan, in the same words and order."""
    plans = [_success(subject, "plan") for _ in range(2)]
    first, second = (each.resources for each in plans)
    if not first:
        raise NotObservable("it plans no resources; test it with a config that declares some")
    if existing := [each for each in first if each.op != "create"]:
        raise NotObservable(
            f'"{existing[0].name}" already exists, and the kit deletes what it creates; test it with a config whose '
            "resources do not exist yet"
        )
    if _steps(second) != _steps(first):
        raise Violation(f"the first plan is {_listed(first)}, the second {_listed(second)}")
    old, new = (_saved(each) for each in plans)
    if other := [name for name in old if old[name] != new[name]]:
        raise Violation(f"two plans of the same differ in {', '.join(other)}, so no saved plan could be applied")


def ignores_unknown_options(subject: Subject) -> None:
    """It ignores unknown options of a lifecycle command."""
    _success(subject, "plan", **{_UNKNOWN_OPTION: True})


def cancels_cleanly(subject: Subject) -> None:
    """After `stop`, or EOF without it, `init` exits with a last line, whether it has finished or not."""
    for how in ("stop", "EOF"):
        with subject.greeted() as dialogue:
            dialogue.ask_lifecycle("init", subject.config, subject.work_dir)
            dialogue.wait_for(
                lambda record: record.result or any(isinstance(each.message, Resource) for each in record.said),
                subject.limits.watch_s,
            )
            if how == "stop":
                dialogue.tell(Stop(int(subject.limits.command_s * 1000)))
            else:
                dialogue.close_stdin()
            _wait_for_result(dialogue, f"init, cancelled by {how},", subject)


def creates_what_it_plans(subject: Subject) -> None:
    """After `init`, neither `plan` nor a second `init` finds anything to do."""
    _success(subject, "init")
    _check_nothing_to_do(_success(subject, "plan"), "after init, plan")
    _check_nothing_to_do(_success(subject, "init"), "a second init")


def finds_no_drift(subject: Subject) -> None:
    """After `init`, `status` lists the created resources and finds no drift."""
    result = _success(subject, "status")
    if not result.resources:
        raise Violation("status lists no resources after init")
    _check_nothing_to_do(result, "after init, status")


def destroys_what_it_created(subject: Subject) -> None:
    """After `destroy`, `plan` would create everything again, and a second `destroy` finds nothing to do."""
    _success(subject, "destroy", allow_data_loss=True)  # it holds only rows from the kit
    left = [each for each in _success(subject, "plan").resources if each.op != "create"]
    if left:
        raise Violation(f"after destroy, plan shows {_listed(left)}")
    _check_nothing_to_do(_success(subject, "plan", destroy=True), "after destroy, plan with destroy")
    _check_nothing_to_do(_success(subject, "destroy", allow_data_loss=True), "a second destroy")


def run_with_secrets(subject: Subject) -> None:
    """Run lifecycle commands that change nothing, with canaries for secrets; ignore their results."""
    _ask(subject, "plan", subject.secret_config)
    _ask(subject, "status", subject.secret_config)


def _ask(
    subject: Subject, command: LifecycleName, config: Mapping[str, Any] | None = None, **options: Any
) -> LifecycleResult:
    with subject.greeted() as dialogue:
        dialogue.ask_lifecycle(command, subject.config if config is None else config, subject.work_dir, **options)
        return _wait_for_result(dialogue, command, subject)


def _success(subject: Subject, command: LifecycleName, **options: Any) -> LifecycleResult:
    result = _ask(subject, command, **options)
    if result.status != "Success":
        raise Violation(f"{command} fails: {(result.error.message if result.error else '') or result.message}")
    return result


def _wait_for_result(dialogue: Dialogue, command: str, subject: Subject) -> LifecycleResult:
    limits = subject.limits
    dialogue.wait_for(lambda record: record.result or record.status, limits.command_s)
    result = dialogue.record.result
    if result is None:
        if dialogue.record.status is not None:
            raise Violation(f'it answers {command} with "{dialogue.record.status.status}", as if it were run')
        if dialogue.record.is_over:
            dialogue.exits(limits.exit_s)
            raise Violation(f"{command} exited without a last line; {dialogue.ending()}")
        raise Violation(f"{command} wrote no last line within {limits.command_s:g} s")
    if not dialogue.exits(limits.exit_s):
        raise Violation(f"it is still running {limits.exit_s:g} s after the last line of {command.rstrip(',')}")
    return result


def _check_nothing_to_do(result: LifecycleResult, what: str) -> None:
    steps = [each for each in result.resources if each.op not in ("same", "refresh")]
    if steps:
        raise Violation(f"{what} shows {_listed(steps)}")


def _saved(plan: LifecycleResult) -> dict[str, Any]:
    """Return what a plan file contains of it."""
    of_metadata = {name: plan.metadata.get(name) for name in ("plan", "where")}
    return {"resources": plan.resources, "message": plan.message, **of_metadata}


def _steps(resources: Sequence[ListedResource]) -> list[tuple[str, str]]:
    return sorted((each.name, each.op) for each in resources)


def _listed(resources: Sequence[ListedResource]) -> str:
    return ", ".join(f'{op} of "{name}"' for name, op in _steps(resources)) or "nothing"

"""The stack of a deployment or of one of its tasks, for `dstream deploy`."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

from dstream_stacks import resource_ids as ids
from dstream_stacks.container_apps import as_document
from dstream_stacks.container_apps_program import Program, app_program, shared_program

from dstream.infra import Contents, Definition, Recorded, RunProgram, Step, UnrecordedResources
from dstream.sdk.errors import ConfigError
from dstream_container_apps.config import Config
from dstream_container_apps.display import ContainerAppsDisplay
from dstream_container_apps.specs import app_spec, check, shared_spec, unset_variables, with_recorded_case

_NAMING = frozenset(
    {
        "resourceGroupName",
        "environmentName",
        "containerAppName",
        "resourceName",
        "accountName",
        "containerName",
        "workspaceName",
        "roleAssignmentName",
        "scope",
        "resourceUri",
        "name",
        "azureApiVersion",
    }
)
_SUBSCRIPTION = re.compile(r"/subscriptions/([^/]+)/", re.IGNORECASE)


def definition(config: Config, *, imports: bool, is_made: bool = True) -> Definition:
    """Return the stack. Without `is_made`, it declares nothing, for commands that use the record.

    Raises ConfigError.
    """
    if config.deployed is None:
        raise ConfigError(
            "container_apps.not_deployed",
            "a deployment is not the output of a task",
            hint="Use container_apps in a deployment block, with `dstream deploy`.",
        )
    subscription = _Subscription(config.subscription_id or os.environ.get("ARM_SUBSCRIPTION_ID", ""))
    unrecorded = UnrecordedResources()
    if is_made:
        check(config)
    program: Program = _nothing
    document: dict[str, Any] = {}
    if is_made and config.deployed.task:
        app = app_spec(config, config.deployed)
        document = as_document(app)
        program = app_program(app, imports=imports, unrecorded=unrecorded, see=subscription.see)
    elif is_made:
        shared = shared_spec(config, config.deployed)
        document = as_document(shared)
        program = shared_program(shared, imports=imports, unrecorded=unrecorded, see=subscription.see)
    return Definition(
        program=program,
        spec=document,
        where=f"{config.environment.rpartition('/')[2]} ({config.resource_group})",
        plugins={"azure-native": version("pulumi-azure-native")},
        engine_config={"azure-native:subscriptionId": config.subscription_id} if config.subscription_id else {},
        resource_id=lambda kind, inputs: ids.resource_id(kind, inputs, subscription.id),
        see_ids=subscription.see_ids,
        continued=partial(_continued, config, imports, is_made),
        config_path_of=_config_path_of,
        naming=_NAMING,
        holds=_holds,
        contents=_contents,
        held="checkpoints",
        confirmed_by_name=tuple(_UNLISTED),
        unrecorded=unrecorded,
        message=lambda steps: _unset(config),
        display=ContainerAppsDisplay(),
    )


def _continued(
    config: Config, imports: bool, is_made: bool, recorded: Sequence[Recorded], is_destroyed: bool
) -> Definition | None:
    spelled = with_recorded_case(config, [each.inputs for each in recorded])
    return None if spelled == config else definition(spelled, imports=imports, is_made=is_made)


def _unset(config: Config) -> str:
    """Text of the plan about variables that the container will not have; other tasks may need them."""
    found = unset_variables(config, config.deployed) if config.deployed else []
    return f"Warning: the files read {', '.join(found)}, which neither env nor secrets sets." if found else ""


def _nothing() -> None:
    """The program of commands that use the record; it never runs."""


@dataclass(slots=True)
class _Subscription:
    """The Azure subscription: as configured, as recorded, or that of the credentials."""

    id: str

    def see(self, id_: str) -> None:
        self.id = id_

    def see_ids(self, recorded: Collection[str]) -> None:
        for each in recorded:
            if not self.id and (match := _SUBSCRIPTION.match(each)):
                self.id = match[1]


def _holds(step: Step) -> int:
    """Azure Resource Manager does not count blobs: whether a container holds checkpoints is unknown, so it is never
    deleted unless the user allows it. Raises LookupError then.
    """
    if step.type == ids.BLOB_CONTAINER:
        raise LookupError("no number of blobs among the outputs of a container")
    return 0


def _contents(steps: Sequence[Step], run: RunProgram) -> Mapping[str, Contents]:
    """Both are deleted with everything in them, including what others created."""
    return {each.urn: Contents(unknown=_UNLISTED[each.type]) for each in steps if each.type in _UNLISTED}


def _config_path_of(resource_type: str, name: str) -> str:
    return _PATHS.get(resource_type, "")


_UNLISTED: Mapping[str, str] = {
    ids.STORAGE_ACCOUNT: "Azure Resource Manager does not list blobs",
    ids.RESOURCE_GROUP: "DStream does not read what else is in the group of a deployment",
}
"""Why the contents of a resource are unknown."""
_PATHS: Mapping[str, str] = {
    ids.RESOURCE_GROUP: "resource_group",
    ids.ENVIRONMENT: "environment",
    ids.WORKSPACE: "log_analytics_workspace",
    ids.STORAGE_ACCOUNT: "create_storage_account",
    ids.BLOB_CONTAINER: "create_storage_account",
    ids.CONTAINER_APP: "image",
}

"""The engine's record of a stack, from `pulumi stack export`. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dstream.infra.definition import Recorded
from dstream.infra.plan.values import properties

_INTERNAL = "pulumi:"
_STACK = "pulumi:pulumi:Stack"
_OUTCOME_UNKNOWN = "DStream: the outcome of the creation is unknown"
"""The mark of a resource that may exist; a refresh removes the mark or the resource."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A step with a recorded start and no known outcome: the engine was killed or interrupted."""

    kind: str
    """creating, updating, deleting, reading, importing"""
    urn: str
    type: str
    id: str
    inputs: Mapping[str, Any]
    """Secrets are masked."""

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]


@dataclass(frozen=True, slots=True)
class RecordedEntry:
    """A resource in the record, as users see it."""

    urn: str
    type: str
    name: str
    id: str


class StackRecord:
    """One stack's deployment, of version 3 (pulumi/sdk/go/common/apitype/core.go)."""

    def __init__(self, exported: Mapping[str, Any]) -> None:
        self._exported = exported
        self._deployment: Mapping[str, Any] = exported.get("deployment") or {}

    @property
    def names(self) -> list[str]:
        """Names of the resources, excluding the engine's own, in order of creation."""
        return [each["urn"].rpartition("::")[2] for each in self._resources if not _is_internal(each)]

    @property
    def resources(self) -> list[Recorded]:
        """The same resources."""
        return [
            Recorded(
                each["type"],
                each["urn"].rpartition("::")[2],
                properties(each.get("inputs")),
                properties(each.get("outputs")),
            )
            for each in self._resources
            if not _is_internal(each)
        ]

    @property
    def ids(self) -> list[str]:
        """The ids of the resources that have one, excluding the engine's own."""
        return [each["id"] for each in self._resources if each.get("id") and not _is_internal(each)]

    @property
    def entries(self) -> list[RecordedEntry]:
        """The same resources, with their ids."""
        return [
            RecordedEntry(each["urn"], each["type"], each["urn"].rpartition("::")[2], each.get("id", ""))
            for each in self._resources
            if not _is_internal(each)
        ]

    def with_contents(self, names: Sequence[str]) -> list[RecordedEntry]:
        """The resources with these names, and those whose ids are inside theirs."""
        chosen = [each for each in self.entries if each.name in names]
        inside = tuple(f"{each.id.lower()}/" for each in chosen if each.id)
        return [each for each in self.entries if each.name in names or each.id.lower().startswith(inside)]

    def provider_version(self, package: str) -> str:
        """The version of the provider plugin that the resources of a package use; "" if unknown."""
        for each in self._resources:
            if each.get("type") == f"pulumi:providers:{package}":
                return str((each.get("inputs") or {}).get("version") or "")
        return ""

    @property
    def ignored(self) -> Mapping[str, Sequence[str]]:
        """The property paths whose changes the program ignores, by URN."""
        return {each["urn"]: each["ignoreChanges"] for each in self._resources if each.get("ignoreChanges")}

    @property
    def half_replaced(self) -> frozenset[str]:
        """The URNs of resources that an interrupted replacement has deleted and not yet created again
        (pendingReplacement, pulumi/sdk/go/common/resource/resource_state.go). A refresh does not read them."""
        return frozenset(each["urn"] for each in self._resources if each.get("pendingReplacement"))

    @property
    def is_initialised(self) -> bool:
        """Whether the program has run at least once."""
        return bool(self._resources)

    @property
    def outputs(self) -> Mapping[str, Any]:
        """The program's exports; secrets are masked."""
        for each in self._resources:
            if each.get("type") == _STACK:
                return properties(each.get("outputs"))
        return {}

    @property
    def digest(self) -> str:
        """A hash of the recorded inputs and ids; volatile outputs and timestamps do not affect it."""
        facts = sorted(
            [each["urn"], each.get("id", ""), properties(each.get("inputs")), bool(each.get("delete"))]
            for each in self._resources
            if not _is_internal(each)
        )
        text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def pending(self) -> list[Pending]:
        operations: list[Mapping[str, Any]] = [*(self._deployment.get("pending_operations") or ())]
        operations += [{"resource": each, "type": "creating"} for each in self._resources if _is_possible(each)]
        return [
            Pending(
                operation.get("type", ""),
                operation["resource"]["urn"],
                operation["resource"]["type"],
                operation["resource"].get("id", ""),
                properties(operation["resource"].get("inputs")),
            )
            for operation in operations
        ]

    @property
    def stack_settings(self) -> Mapping[str, Any]:
        """The record's encryption settings, in the form of the stack's settings file, to re-create that file."""
        provider = self._deployment.get("secrets_providers") or {}
        state = provider.get("state") or {}
        if provider.get("type") == "passphrase" and state.get("salt"):
            return {"encryptionsalt": state["salt"]}
        if provider.get("type") == "cloud" and state.get("url"):
            return {"secretsprovider": state["url"], "encryptedkey": state.get("encryptedkey", "")}
        return {}

    def with_possible(self, resources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the export with these resources, marked as pending creations.

        They are recorded as resources, because `pulumi stack import` drops pending operations.
        """
        found = list(self._resources)
        for each in resources:
            found = _with(found, _possible(each))
        return {**self._exported, "deployment": {**self._deployment, "resources": found}}

    def without(self, urns: Collection[str]) -> dict[str, Any]:
        """Return the export without these resources, and without the others' references to them."""
        kept = [_without_references(each, urns) for each in self._resources if each["urn"] not in urns]
        return {**self._exported, "deployment": {**self._deployment, "resources": kept}}

    def settled(self, ids: Mapping[str, str]) -> dict[str, Any]:
        """Return the export without pending operations. A creation whose id is known counts as done, with the mark: a
        refresh then drops it if it does not exist.
        """
        deployment = dict(self._deployment)
        resources = list(self._resources)
        for operation in deployment.pop("pending_operations", None) or ():
            made = dict(operation["resource"])
            if made["urn"] in ids:
                resources = _with(resources, _possible({**made, "id": ids[made["urn"]]}))
        deployment["resources"] = resources
        return {**self._exported, "deployment": deployment}

    @property
    def _resources(self) -> Sequence[Mapping[str, Any]]:
        return self._deployment.get("resources") or ()


def _with(resources: list[Mapping[str, Any]], made: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Add a resource whose creation was pending. If it replaces one with a different id, that one stays, marked for
    deletion. One with the same id was already deleted and only marks the pending replacement (`pendingReplacement`).
    """
    for index, each in enumerate(resources):
        if each["urn"] == made["urn"] and not each.get("delete"):
            if each.get("id") == made["id"]:
                mark = each.get("pendingReplacement")
                return [*resources[:index], made, *resources[index + 1 :]] if mark else resources
            return [*resources[:index], made, {**each, "delete": True}, *resources[index + 1 :]]
    return [*resources, made]


def _without_references(resource: Mapping[str, Any], urns: Collection[str]) -> dict[str, Any]:
    """Dependencies as in pulumi/sdk/go/common/apitype/core.go, ResourceV3."""
    result = {key: value for key, value in resource.items() if key != "deletedWith" or value not in urns}
    for key in ("dependencies", "replaceWith"):
        if key in result:
            result[key] = [each for each in result[key] if each not in urns]
    if "propertyDependencies" in result:
        result["propertyDependencies"] = {
            name: [each for each in found or () if each not in urns]
            for name, found in result["propertyDependencies"].items()
        }
    return result


def _possible(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {**resource, "initErrors": [_OUTCOME_UNKNOWN]}


def _is_possible(resource: Mapping[str, Any]) -> bool:
    return _OUTCOME_UNKNOWN in (resource.get("initErrors") or ())


def _is_internal(resource: Mapping[str, Any]) -> bool:
    return str(resource.get("type", "")).startswith(_INTERNAL)

"""What the engine has recorded of a stack, as `pulumi stack export` tells it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dstream.infra.plan.values import properties

_INTERNAL = "pulumi:"
_STACK = "pulumi:pulumi:Stack"


@dataclass(frozen=True, slots=True)
class Pending:
    """A step that was begun and of which nobody recorded the end: the engine was killed."""

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


class StackRecord:
    """One stack's deployment, of version 3 (pulumi/sdk/go/common/apitype/core.go)."""

    def __init__(self, exported: Mapping[str, Any]) -> None:
        self._exported = exported
        self._deployment: Mapping[str, Any] = exported.get("deployment") or {}

    @property
    def names(self) -> list[str]:
        """Of the resources that people know, in the order of their making."""
        return [each["urn"].rpartition("::")[2] for each in self._resources if not _is_internal(each)]

    @property
    def types_and_names(self) -> list[tuple[str, str]]:
        """Of the same resources; the type is its token: `azure-native:servicebus:Queue`."""
        return [(each["type"], each["urn"].rpartition("::")[2]) for each in self._resources if not _is_internal(each)]

    @property
    def is_initialised(self) -> bool:
        """Whether the program has run at least once."""
        return bool(self._resources)

    @property
    def outputs(self) -> Mapping[str, Any]:
        """What the program exported; secret values are masked."""
        for each in self._resources:
            if each.get("type") == _STACK:
                return properties(each.get("outputs"))
        return {}

    @property
    def digest(self) -> str:
        """Changes with any input or id that is recorded, and with nothing else (volatile outputs, timestamps)."""
        facts = sorted(
            [each["urn"], each.get("id", ""), properties(each.get("inputs")), bool(each.get("delete"))]
            for each in self._resources
            if not _is_internal(each)
        )
        text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def pending(self) -> list[Pending]:
        operations: Sequence[Mapping[str, Any]] = self._deployment.get("pending_operations") or ()
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
        """How the record is encrypted, as the stack's settings file says it: that file may be lost, the record not."""
        provider = self._deployment.get("secrets_providers") or {}
        state = provider.get("state") or {}
        if provider.get("type") == "passphrase" and state.get("salt"):
            return {"encryptionsalt": state["salt"]}
        if provider.get("type") == "cloud" and state.get("url"):
            return {"secretsprovider": state["url"], "encryptedkey": state.get("encryptedkey", "")}
        return {}

    def settled(self, ids: Mapping[str, str]) -> dict[str, Any]:
        """The same export without pending operations; a creation whose id is known counts as made.

        Whether it was made is for a refresh to see: it drops what is not there.
        """
        deployment = dict(self._deployment)
        resources = [dict(each) for each in self._resources]
        for operation in deployment.pop("pending_operations", None) or ():
            made = dict(operation["resource"])
            if made["urn"] in ids:
                resources = _with(resources, {**made, "id": ids[made["urn"]]})
        deployment["resources"] = resources
        return {**self._exported, "deployment": deployment}

    @property
    def _resources(self) -> Sequence[Mapping[str, Any]]:
        return self._deployment.get("resources") or ()


def _with(resources: list[dict[str, Any]], made: dict[str, Any]) -> list[dict[str, Any]]:
    """With what was being made. Where it replaces one of another id, that one waits for its deletion behind it; one of
    the same id was deleted before, and stays only as a mark that its replacement is to be made (`pendingReplacement`).
    """
    for index, each in enumerate(resources):
        if each["urn"] == made["urn"] and not each.get("delete"):
            if each.get("id") == made["id"]:
                mark = each.get("pendingReplacement")
                return [*resources[:index], made, *resources[index + 1 :]] if mark else resources
            return [*resources[:index], made, {**each, "delete": True}, *resources[index + 1 :]]
    return [*resources, made]


def _is_internal(resource: Mapping[str, Any]) -> bool:
    return str(resource.get("type", "")).startswith(_INTERNAL)

"""Runs a Pulumi program on Pulumi's own mocks, and returns what it declares."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import rpc

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"


@dataclass
class Declared(pulumi.runtime.Mocks):
    """`resources`: inputs, by type and name, in order of declaration."""

    resources: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.resources[args.typ, args.name] = _plain(args.inputs)
        known = {"clientId": f"client of {args.name}", "principalId": f"principal of {args.name}"}
        outputs = {**args.inputs, **known, "name": args.name}
        if identity := args.inputs.get("identity"):  # Azure returns a map of the identities
            outputs["identity"] = {
                **identity,
                "userAssignedIdentities": {key: {} for key in identity["userAssignedIdentities"]},
            }
        return f"id of {args.name}", outputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        return {"subscriptionId": SUBSCRIPTION, "clientId": "", "tenantId": "", "objectId": ""}


def _plain(value: Any) -> Any:
    """The value without marks of secrets."""
    if isinstance(value, dict):
        if value.get(rpc._special_sig_key) == rpc._special_secret_sig:
            return _plain(value["value"])
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def declared(program: Callable[[], object]) -> dict[tuple[str, str], dict[str, Any]]:
    """Run it in a thread of its own: the SDK keeps its settings, and an event loop, per thread and context."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, _declared, program).result()


def _declared(program: Callable[[], object]) -> dict[tuple[str, str], dict[str, Any]]:
    mocks = Declared()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        pulumi.runtime.set_mocks(mocks, project="orders", stack="dev", preview=False)
        pulumi.runtime.test(program)()
    finally:
        loop.close()
    return mocks.resources

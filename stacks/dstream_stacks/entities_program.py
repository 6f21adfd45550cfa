"""Mode `entities`: the Pulumi program that declares a spec's entities without Azure Resource Manager.

Queues, topics, subscriptions and rules are `dstream:servicebus:*`, with the same names and inputs as in Azure Resource
Manager but without a resource group and namespace. The engine manages them through the attached provider `dstream`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from dstream_stacks import resource_ids as ids
from dstream_stacks.declarations import Declaration, declarations
from dstream_stacks.references import References
from dstream_stacks.spec import ServiceBusSpec
from dstream_stacks.turns import Turns
from dstream_stacks.unrecorded import Exists, Lookups, Unrecorded

if TYPE_CHECKING:
    import pulumi


def entities_program(
    spec: ServiceBusSpec, *, exists: Exists, unrecorded: Unrecorded | None = None
) -> Callable[[], Awaitable[object] | None]:
    """Return the program. `exists` is called for resources to import, and for those that `unrecorded` wants. Raises
    ValueError for a spec that needs Azure Resource Manager.
    """
    if spec.authorization_rules or spec.role_assignments:
        raise ValueError("authorization rules and role assignments require mode arm")
    return lambda: _declare(spec, exists, Lookups(unrecorded, lambda *asked: asyncio.to_thread(exists, *asked)))


def _declare(spec: ServiceBusSpec, exists: Exists, lookups: Lookups) -> Awaitable[object] | None:
    import pulumi

    references, turns = References(), Turns()
    for each in declarations(spec):
        options = _options(spec, each, exists, lookups)
        options.deleted_with = references.deleted_with(each)
        made = _resource(each, references, turns, options)
        references.add(each, made.id.apply(partial(_name, each)), made)
        turns.add(each, made)
    if spec.namespace is not None:
        pulumi.export("namespace", spec.namespace.name)
    pulumi.export("queues", [queue.name for queue in spec.queues])
    pulumi.export("topics", [topic.name for topic in spec.topics])
    return lookups.under_way


def _resource(
    each: Declaration, references: References, turns: Turns, options: pulumi.ResourceOptions
) -> pulumi.CustomResource:
    import pulumi

    own, name = list(each.path.items())[-1]
    inputs = {**references.parents(each), own: turns.after_others(each, name), **references.forwarding(each.inputs)}
    return pulumi.CustomResource(_type(each), each.name, inputs, options)


def _name(each: Declaration, _: str) -> str:
    return list(each.path.values())[-1]


def _options(spec: ServiceBusSpec, each: Declaration, exists: Exists, lookups: Lookups) -> pulumi.ResourceOptions:
    import pulumi

    imports = each.kept.import_ or spec.import_existing
    resource_id = ids.resource_id(_type(each), each.path)
    assert resource_id is not None  # every path is complete
    if not imports and lookups.wants(_type(each), each.name):
        lookups.look(_type(each), each.name, resource_id)
    return pulumi.ResourceOptions(
        protect=each.kept.protect,
        retain_on_delete=each.kept.retain_on_delete,
        ignore_changes=list(each.kept.ignore_changes) or None,
        delete_before_replace=True,  # the names are fixed, so both cannot exist at the same time
        import_=resource_id if imports and exists(_type(each), resource_id) else None,
    )


def _type(each: Declaration) -> str:
    return f"dstream:servicebus:{'Rule' if each.kind == 'DefaultRule' else each.kind}"

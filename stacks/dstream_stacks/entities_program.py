"""Mode `entities`: the Pulumi program that declares a spec's entities without Azure Resource Manager.

Queues, topics, subscriptions and rules as `dstream:servicebus:*`, with the names and inputs of the ones in Azure
Resource Manager but without group and namespace. The engine talks to the attached provider `dstream`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dstream_stacks import resource_ids as ids
from dstream_stacks.declarations import Declaration, declarations
from dstream_stacks.references import References
from dstream_stacks.spec import ServiceBusSpec

if TYPE_CHECKING:
    import pulumi

Exists = Callable[[str, str], bool]
"""`exists(type, id)`, called for resources to import if they exist."""


def entities_program(spec: ServiceBusSpec, *, exists: Exists) -> Callable[[], None]:
    """Return the program. Raises ValueError for a spec that needs Azure Resource Manager."""
    if spec.authorization_rules:
        raise ValueError("authorization rules need mode arm")
    return lambda: _declare(spec, exists)


def _declare(spec: ServiceBusSpec, exists: Exists) -> None:
    import pulumi

    references = References()
    for each in declarations(spec):
        references.add(each, _resource(each, references, _options(spec, each, exists)))
    if spec.namespace is not None:
        pulumi.export("namespace", spec.namespace.name)
    pulumi.export("queues", [queue.name for queue in spec.queues])
    pulumi.export("topics", [topic.name for topic in spec.topics])


def _resource(each: Declaration, references: References, options: pulumi.ResourceOptions) -> Any:
    """Declare it and return its name as an output, unknown in a plan that replaces it."""
    import pulumi

    own, name = list(each.path.items())[-1]
    inputs = {**references.parents(each), own: name, **references.forwarding(each.inputs)}
    made = pulumi.CustomResource(_type(each), each.name, inputs, options)
    return made.id.apply(lambda _: name)


def _options(spec: ServiceBusSpec, each: Declaration, exists: Exists) -> pulumi.ResourceOptions:
    import pulumi

    takes_over = each.kept.import_ or spec.import_existing
    resource_id = ids.resource_id(_type(each), each.path)
    assert resource_id is not None  # every path is complete
    return pulumi.ResourceOptions(
        protect=each.kept.protect,
        retain_on_delete=each.kept.retain_on_delete,
        delete_before_replace=True,  # the names are fixed, so the two can't coexist
        import_=resource_id if takes_over and exists(_type(each), resource_id) else None,
    )


def _type(each: Declaration) -> str:
    return f"dstream:servicebus:{'Rule' if each.kind == 'DefaultRule' else each.kind}"

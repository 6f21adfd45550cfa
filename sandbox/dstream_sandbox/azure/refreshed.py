"""The inputs that Read returns: the program's own, updated with the changes made in Azure.

azure-native (provider.go, Read) compares the recorded outputs with those it reads, and applies the differences to the
recorded inputs. The result here is the same: properties set by the program have their actual values, in the program's
spelling if they are equal; other properties appear once they differ from their defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dstream_sandbox.azure.resource_types import Property, ResourceType
from dstream_sandbox.azure.values import effective, same, without

__all__ = ["refreshed_inputs"]


def refreshed_inputs(
    kind: ResourceType,
    recorded: Mapping[str, object] | None,
    names: Mapping[str, str],
    real: Mapping[str, object],
    defaults: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Return the inputs. `recorded`: None for an import. `real`: the actual settings. `defaults`: those that differ
    from the type's."""
    if recorded is None:
        start: dict[str, object] = {**names, "azureApiVersion": kind.api_version}
    else:
        start = dict(recorded)
    return _refreshed(kind.properties, start, real, defaults or {})


def _refreshed(
    known: Iterable[Property],
    recorded: Mapping[str, object],
    real: Mapping[str, object],
    defaults: Mapping[str, object],
) -> dict[str, object]:
    inputs = dict(recorded)
    for each in known:
        said, found = recorded.get(each.name), real.get(each.name)
        default = defaults.get(each.name, effective(each, None, real))
        readable = without(each.write_only, said)
        if same(each, default if readable is None else readable, default if found is None else found):
            continue
        if isinstance(said, Mapping) and isinstance(found, Mapping) and each.kind == "object":
            inputs[each.name] = _refreshed(each.properties, said, found, {})
        elif found is None:
            inputs.pop(each.name, None)
        elif isinstance(found, Mapping) and each.kind == "object":
            inputs[each.name] = _refreshed(each.properties, {}, found, {})
        else:
            inputs[each.name] = found
    return inputs

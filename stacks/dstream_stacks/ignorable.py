"""Which properties of a resource `ignore_changes` can name: settings by their own names, and properties by Azure's.

The engine keeps the actual value of an ignored property. Properties without a setting matter too: azure-native reports
drift in everything that changes outside. Names: the inputs of `azure-native:servicebus:*` 3.29. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from dstream_stacks.inputs import NAMESPACE
from dstream_stacks.properties import EntityType, properties_of
from dstream_stacks.spec import Mode

Ignoring = EntityType | Literal["namespace"]
"""The kinds of resource with `ignore_changes`."""

_SKU = ("name", "tier", "capacity")
_NAMESPACE_SETTINGS = {
    "sku": "sku",
    "capacity": "sku.capacity",
    "tags": "tags",
    **{setting: each.name for setting, each in NAMESPACE.items()},
}
_WITHOUT_SETTING: Mapping[Ignoring, Sequence[str]] = {
    "namespace": (
        "alternateName",
        "geoDataReplication",
        "identity",
        "ipAddressType",
        "platformCapabilities",
        "privateEndpointConnections",
    ),
    "queue": ("enableExpress", "status"),
    "topic": ("enableExpress", "status"),
    "subscription": ("clientAffineProperties", "duplicateDetectionHistoryTimeWindow", "isClientAffine", "status"),
}
_PATH = re.compile(r"""([A-Za-z_]+)((?:\.[^.\[\]"]+|\[\d+\]|\["[^"]+"\])*)""")


def ignorable(kind: Ignoring, mode: Mode) -> dict[str, str]:
    """The valid names, without paths into objects, and the property of each in Azure: `capacity` -> `sku.capacity`."""
    settings = _NAMESPACE_SETTINGS if kind == "namespace" else {each.name: each.azure for each in properties_of(kind)}
    others = _WITHOUT_SETTING[kind] if mode == "arm" else ()
    return {**settings, **{name: name for name in others}}


def ignored_path(kind: Ignoring, mode: Mode, given: str) -> str | None:
    """The property path in Azure for what a user wrote, such as `capacity`, `sku.capacity` or `tags.team`; None if
    there is no such property.
    """
    known = ignorable(kind, mode)
    match = _PATH.fullmatch(given)
    if match is None:
        return None
    if given in known:
        return known[given]
    name, inside = match.groups()
    if name not in known.values():
        return None
    if name == "sku":
        return given if inside[1:] in ("", *_SKU) else None
    is_object = name in ("tags", "encryption") or name in _WITHOUT_SETTING["namespace"]
    return given if is_object or not inside else None


def ignores(paths: Iterable[str], path: str) -> bool:
    """Whether one of the ignored paths covers this property path."""
    return any(path == each or path.startswith((f"{each}.", f"{each}[")) for each in paths)

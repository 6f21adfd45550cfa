"""The resource group and namespace that always exist."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dstream_sandbox.azure.records import Records, shared_keys
from dstream_sandbox.folder import NAMESPACE
from dstream_sandbox.servicebus.access import SharedKey

__all__ = ["BUILT_IN", "LOCATION", "built_in_keys"]

BUILT_IN = NAMESPACE
LOCATION = "westeurope"


def built_in_keys(records: Records, root: SharedKey) -> Callable[[], Sequence[SharedKey]]:
    """Return a function that reads the current access policies of the namespace; only `root` without Azure."""

    def keys() -> Sequence[SharedKey]:
        record = records.namespaces.get(BUILT_IN)
        return shared_keys(record) if record else [root]

    return keys

"""Addresses of nodes in a namespace: entities, their dead-letter queues, and what hangs below them."""

from __future__ import annotations

__all__ = ["CBS", "MANAGEMENT_SUFFIX", "entity_of"]

CBS = "$cbs"
MANAGEMENT_SUFFIX = "/$management"


def entity_of(path: str) -> str:
    """The entity whose $management node `path` may be; of any other path, itself."""
    return path.removesuffix(MANAGEMENT_SUFFIX)

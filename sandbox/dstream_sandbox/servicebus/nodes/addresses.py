"""Addresses of nodes in a namespace: entities, their dead-letter queues, and their $management nodes."""

from __future__ import annotations

__all__ = ["CBS", "MANAGEMENT_SUFFIX", "entity_of"]

CBS = "$cbs"
MANAGEMENT_SUFFIX = "/$management"


def entity_of(path: str) -> str:
    """The entity of a $management node; any other path is returned unchanged."""
    return path.removesuffix(MANAGEMENT_SUFFIX)

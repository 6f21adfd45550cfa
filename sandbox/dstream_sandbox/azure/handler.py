"""What each resource type implements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from dstream_sandbox.azure.cloud import Found
from dstream_sandbox.azure.ids import Place

__all__ = ["Handler"]


class Handler(Protocol):
    """The operations on resources of one type. All except `read` raise AzureError or AlreadyExists."""

    def read(self, place: Place) -> Found | None:
        """Return the resource, or None if it or its parent does not exist."""

    async def create(self, place: Place, inputs: Mapping[str, object]) -> None: ...
    async def update(self, place: Place, inputs: Mapping[str, object]) -> None:
        """ARM's PUT: omitted inputs revert to their defaults."""

    async def delete(self, place: Place) -> None:
        """Delete the resource; do nothing if it does not exist."""

"""Looks for resources that a plan would create although they exist, made by somebody else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Protocol

Exists = Callable[[str, str], bool]
"""`exists(type, id)`"""
Look = Callable[[str, str], Awaitable[bool]]
"""The same, without blocking the program."""

_CONCURRENT = 16
"""As many as the engine's own reads on 4 cores. Azure limits the rate of reads (Microsoft: "Understand how Azure
Resource Manager throttles requests").
"""

_INSIDE = re.compile("/(?=(providers|(queue|topic|subscription|(authorization)?rule)s?)/)", re.IGNORECASE)
"""Where an id continues with something inside a resource; names such as `team/orders` contain slashes, too."""
_ALWAYS_EXIST = ("/$Default", "/networkRuleSets/default")


class Unrecorded(Protocol):
    """Collects the resources found."""

    def wants(self, resource_type: str, name: str) -> bool:
        """Return whether the resource would be created by the plan."""

    def add(self, resource_type: str, name: str) -> None:
        """Called for each of these resources that exists."""


class Lookups:
    """The lookups of one run of a program: at most one per new resource, and none below one that does not exist.

    They run while the engine works. The SDK's blocking functions would run one after another, and each would occupy the
    processor the longer, the more there are (pulumi 3.272, runtime/sync_await.py).
    """

    def __init__(self, unrecorded: Unrecorded | None, exists: Look) -> None:
        self._unrecorded = unrecorded
        self._exists = exists
        self._begun: dict[str, asyncio.Task[bool]] = {}
        self._free = asyncio.Semaphore(_CONCURRENT)

    def wants(self, resource_type: str, name: str) -> bool:
        return self._unrecorded is not None and self._unrecorded.wants(resource_type, name)

    def look(self, resource_type: str, name: str, resource_id: str) -> None:
        """Look for a resource, after those that contain it. Not for those that come with what contains them."""
        if self._unrecorded is None or resource_id.endswith(_ALWAYS_EXIST):
            return
        around = [resource_id[: each.start()] for each in _INSIDE.finditer(resource_id)]
        containers = [self._begun[each] for each in around if each in self._begun]
        task = asyncio.ensure_future(self._look(self._unrecorded, containers, resource_type, name, resource_id))
        self._begun[resource_id] = task

    @property
    def under_way(self) -> Awaitable[object] | None:
        """Await it before the program ends, for the error of a lookup that failed; None if nothing is looked up."""
        return asyncio.gather(*self._begun.values()) if self._begun else None

    async def _look(
        self,
        unrecorded: Unrecorded,
        containers: list[asyncio.Task[bool]],
        resource_type: str,
        name: str,
        resource_id: str,
    ) -> bool:
        for each in containers:
            if not await each:
                return False
        async with self._free:
            exists = await self._exists(resource_type, resource_id)
        if exists:
            unrecorded.add(resource_type, name)
        return exists

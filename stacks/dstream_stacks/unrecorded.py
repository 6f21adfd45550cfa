"""Looks for resources that a plan would create although they exist, made by somebody else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

Exists = Callable[[str, str], bool]
"""`exists(type, id)`"""

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
    """The lookups of one run of a program: at most one per new resource, and none below one that does not exist."""

    def __init__(self, unrecorded: Unrecorded | None, exists: Exists) -> None:
        self._unrecorded = unrecorded
        self._exists = exists
        self._absent: set[str] = set()

    def wants(self, resource_type: str, name: str) -> bool:
        return self._unrecorded is not None and self._unrecorded.wants(resource_type, name)

    def look(self, resource_type: str, name: str, resource_id: str) -> None:
        """Look for a resource, after those that contain it. Not for those that come with what contains them."""
        if self._unrecorded is None or resource_id.endswith(_ALWAYS_EXIST) or self._is_in_absent(resource_id):
            return
        if self._exists(resource_type, resource_id):
            self._unrecorded.add(resource_type, name)
        else:
            self._absent.add(resource_id)

    def _is_in_absent(self, resource_id: str) -> bool:
        return any(resource_id[: each.start()] in self._absent for each in _INSIDE.finditer(resource_id))

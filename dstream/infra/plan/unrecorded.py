"""Resources that a plan would create although they exist: they were made by somebody else, so creating them fails."""

from __future__ import annotations

from collections.abc import Collection


class UnrecordedResources:
    """Set as `Definition.unrecorded`. The program asks `wants` for each resource that it declares, looks for those it
    wants, and calls `add` for those that exist. Only `plan` wants any.
    """

    def __init__(self) -> None:
        self._recorded: Collection[tuple[str, str]] | None = None
        self._targets: Collection[str] = ()
        self._found: set[tuple[str, str]] = set()

    def begin(self, recorded: Collection[tuple[str, str]], targets: Collection[str]) -> None:
        """Begin to want resources that are not recorded, by type and name. `targets`: only these names; empty: all."""
        self._recorded, self._targets = frozenset(recorded), frozenset(targets)

    def wants(self, resource_type: str, name: str) -> bool:
        if self._recorded is None or (self._targets and name not in self._targets):
            return False
        return (resource_type, name) not in self._recorded

    def add(self, resource_type: str, name: str) -> None:
        self._found.add((resource_type, name))

    def __contains__(self, type_and_name: tuple[str, str]) -> bool:
        """Whether the resource was found."""
        return type_and_name in self._found

"""Names in scope: the table sources of a SELECT and, for correlated subqueries, those of the enclosing queries."""

from __future__ import annotations

from dataclasses import dataclass, field

from dstream_sandbox.sqlserver.engine.binder.expression import Ex
from dstream_sandbox.sqlserver.engine.errors import ambiguous_column, invalid_column, unbound_identifier


@dataclass(frozen=True, slots=True)
class BoundSource:
    """`qualifiers` are the lower-case names that can prefix its columns: an alias, or schema and table."""

    qualifiers: tuple[str, ...]
    columns: tuple[tuple[str, Ex], ...]
    alias: str = ""
    """The SQLite alias."""

    def matches(self, prefix: tuple[str, ...]) -> bool:
        lowered = tuple(p.lower() for p in prefix)
        return self.qualifiers[-len(lowered) :] == lowered


@dataclass(slots=True)
class Scope:
    sources: list[BoundSource] = field(default_factory=list)
    parent: Scope | None = None
    group_shapes: set[str] | None = None
    """Shapes of the GROUP BY expressions. Not None while binding parts of a grouped query outside aggregates."""
    in_aggregate: bool = False

    def resolve(self, parts: tuple[str, ...]) -> tuple[Ex, bool]:
        """Return the column, and whether it belongs to this scope itself. Raises 207, 209, 4104."""
        scope: Scope | None = self
        while scope is not None:
            found = scope._own(parts)
            if found is not None:
                return found, scope is self
            scope = scope.parent
        if len(parts) == 1 or self._knows(parts[:-1]):
            raise invalid_column(parts[-1])
        raise unbound_identifier(".".join(parts))

    def _own(self, parts: tuple[str, ...]) -> Ex | None:
        name = parts[-1].lower()
        matches = [
            ex
            for source in self.sources
            if len(parts) == 1 or source.matches(parts[:-1])
            for column, ex in source.columns
            if column.lower() == name
        ]
        if len(matches) > 1:
            raise ambiguous_column(parts[-1])
        return matches[0] if matches else None

    def _knows(self, prefix: tuple[str, ...]) -> bool:
        scope: Scope | None = self
        while scope is not None:
            if any(source.matches(prefix) for source in scope.sources):
                return True
            scope = scope.parent
        return False

"""The entities that a task publishes to: one definition for publishing and provisioning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dstream_stacks.naming import NameTemplate, kebab, kebab_table

EntityKind = Literal["queue", "topic"]

ORIGINAL_NAME = NameTemplate("{source_host}-{source_database}-{table}")
"""The original DStream's queue for a table: `localhost-test-db-cars`."""

_KNOWN_FIELDS = frozenset({"source_host", "source_database"})


@dataclass(frozen=True, slots=True)
class EntityNames:
    """Queues or topics by name or name template, with what is known about the source before the first event."""

    kind: EntityKind
    name: NameTemplate
    source_host: str = ""
    source_database: str = ""
    tables: tuple[str, ...] = ()

    def source_fields(self) -> dict[str, str]:
        """The fields that are the same for every event."""
        fields = {"source_host": kebab(self.source_host), "source_database": kebab(self.source_database)}
        return {name: value for name, value in fields.items() if value}

    def known(self) -> tuple[str, ...]:
        """Return the names that are known before the first event; none if they depend on more than the table."""
        fields = self.source_fields()
        if self.name.fields <= _KNOWN_FIELDS:
            return (self.name.render(fields),)
        if self.name.fields <= _KNOWN_FIELDS | {"table"}:
            names = (self.name.render({**fields, "table": kebab_table(table)}) for table in self.tables)
            return tuple(dict.fromkeys(names))
        return ()

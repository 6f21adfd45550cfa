"""Names of Service Bus entities: templates over an event's fields, and the names of the original DStream.

Pure. The publisher provides the fields of an event; `entities.py` determines which entities a task has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_NAME_LENGTH = 260
"""Queues and topics (Microsoft: Service Bus quotas, "Maximum size of any messaging entity path")."""

COLUMN = "data."
"""How the fields that are columns of an event's data begin: `{data.CustomerId}`."""

_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*|data\.[^{}]+)\}")
_VALID_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?")
_WORD_AFTER_CAPITALS = re.compile(r"([A-Z]+)([A-Z][a-z])")
_WORD_AFTER_LOWER = re.compile(r"([a-z0-9])([A-Z])")
_SEPARATORS = re.compile(r"[\s_,:\\]")


@dataclass(frozen=True, slots=True)
class NameTemplate:
    """A text with fields, such as `{source_database}-{table}`. Raises ValueError for a stray brace.

    The name of a column (`{data.Order Id}`) may contain any character except braces.
    """

    text: str
    fields: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        if set(_FIELD.sub("", self.text)) & {"{", "}"}:
            raise ValueError(f'"{self.text}" has a brace that is not part of a field such as {{table}}')
        object.__setattr__(self, "fields", frozenset(_FIELD.findall(self.text)))

    def render(self, values: Mapping[str, str]) -> str:
        """Fill in the fields. Raises KeyError with the name of a field that `values` lacks."""
        if not self.fields:
            return self.text
        return _FIELD.sub(lambda match: values[match[1]], self.text)


def kebab(name: str) -> str:
    """Convert to lower-case words joined by hyphens, as the original DStream does: `TestDB` -> `test-db`."""
    words = _WORD_AFTER_CAPITALS.sub(r"\1-\2", name)
    words = _WORD_AFTER_LOWER.sub(r"\1-\2", words)
    return _SEPARATORS.sub("-", words).lower()


def kebab_table(table: str) -> str:
    """Convert a table name; the schema dbo is omitted: `dbo.Cars`, `Cars` -> `cars`, `sales.Cars` -> `sales-cars`."""
    schema, _, name = table.rpartition(".")
    if schema.lower() in ("", "dbo"):
        return kebab(name)
    return f"{kebab(schema)}-{kebab(name)}"


def is_entity_name(name: str) -> bool:
    """Return whether it has at most 260 letters, digits and `. - _ /`, and starts and ends with a letter or digit.

    Microsoft: "Naming rules and restrictions for Azure resources", Microsoft.ServiceBus.
    """
    return len(name) <= MAX_NAME_LENGTH and _VALID_NAME.fullmatch(name) is not None

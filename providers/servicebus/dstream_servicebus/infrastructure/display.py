"""How plans and drift show Service Bus resources: settings by the names that users write, values with their units."""

from __future__ import annotations

from typing import Any

from dstream_stacks import display


class ServiceBusDisplay:
    """Implements dstream.infra.Display from the table of entity settings; the host formats everything else."""

    def kind(self, resource_type: str) -> str:
        return ""

    def label(self, resource_type: str, path: str) -> str:
        return display.label(resource_type, path) or ""

    def text(self, resource_type: str, path: str, value: Any) -> str:
        try:
            return display.text(resource_type, path, value) or ""
        except (TypeError, ValueError):
            return ""  # a secret's mask, or a value known only after creation

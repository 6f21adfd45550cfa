"""Counters since the server's start. Benchmarks use them for what arrived, and for the CPU time of the server."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

__all__ = ["Counters"]


@dataclass(slots=True)
class Counters:
    messages: int = 0
    bytes: int = 0  # of message payloads as sent, including batch envelopes
    transfers: int = 0
    delivered: int = 0
    rejected: int = 0
    connections: int = 0
    connections_open: int = 0
    azure_requests: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Requests of the Pulumi engine, by operation, then by resource type."""
    azure_creates: Counter[str] = field(default_factory=Counter)
    """Creations by the Pulumi engine, by resource id in lower case."""
    azure_conflicts: int = 0
    """Requests of the Pulumi engine that had to wait for another one on the same topic."""

    def snapshot(self) -> dict[str, object]:
        return {
            "messages": self.messages,
            "bytes": self.bytes,
            "transfers": self.transfers,
            "delivered": self.delivered,
            "rejected": self.rejected,
            "connections": self.connections,
            "connections_open": self.connections_open,
            "azure_requests": self.azure_requests,
            "azure_creates": self.azure_creates,
            "azure_conflicts": self.azure_conflicts,
            "cpu_s": round(time.process_time(), 6),
        }

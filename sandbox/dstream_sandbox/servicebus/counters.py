"""What a server has seen since it started. A benchmark learns here what arrived, and what the server itself cost."""

from __future__ import annotations

import time
from dataclasses import dataclass

__all__ = ["Counters"]


@dataclass(slots=True)
class Counters:
    messages: int = 0
    bytes: int = 0  # of message payloads as sent, batch envelopes included
    transfers: int = 0
    delivered: int = 0
    rejected: int = 0
    connections: int = 0
    connections_open: int = 0

    def snapshot(self) -> dict[str, float]:
        return {
            "messages": self.messages,
            "bytes": self.bytes,
            "transfers": self.transfers,
            "delivered": self.delivered,
            "rejected": self.rejected,
            "connections": self.connections,
            "connections_open": self.connections_open,
            "cpu_s": round(time.process_time(), 6),
        }

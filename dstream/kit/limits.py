"""How long the kit waits for each step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckLimits:
    """In seconds; values from docs/reference/protocol.md where it specifies them."""

    hello_s: float = 5.0
    answer_s: float = 30.0
    """For the answer to line 1; a host allows `start_timeout`, 60 s by default."""
    rows_s: float = 10.0
    """For an input's next checkpoint or an output's next ack."""
    drain_s: float = 25.0
    exit_s: float = 5.0
    orphan_s: float = 2.0
    """From EOF without a stop to the exit."""
    heartbeat_s: float = 12.0
    """For the next heartbeat, due every 10 s, with some tolerance."""
    command_s: float = 300.0
    """For a lifecycle command, even a cancelled one: an engine finishes its current step."""
    watch_s: float = 0.3
    """How long to watch for output that must not appear."""

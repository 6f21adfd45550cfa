"""How long the kit waits for what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckLimits:
    """In seconds; those of docs/protocol.md, as far as it names one."""

    hello_s: float = 5.0
    answer_s: float = 30.0
    """To line 1; a host grants `start_timeout`, 60 s by default."""
    rows_s: float = 10.0
    """For an input's next checkpoint, an output's next ack."""
    drain_s: float = 25.0
    exit_s: float = 5.0
    orphan_s: float = 2.0
    """From EOF without a stop to the exit."""
    heartbeat_s: float = 12.0
    """For the next heartbeat: one every 10 s, and some grace."""
    command_s: float = 300.0
    """For a lifecycle command, also one that is cancelled: an engine finishes the step at hand."""
    watch_s: float = 0.3
    """How long to look out for what must not come."""

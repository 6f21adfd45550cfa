"""The stream in `dstream status`: the last stored checkpoint, and the figures of a running host."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dstream.config import Project
from dstream.errors import DStreamError
from dstream.host import ask_host, socket_path
from dstream.state import StoredState, open_store


@dataclass(frozen=True, slots=True)
class StreamView:
    """A task's stream. `live`: the answer of the host that runs it; None if it is not running."""

    stored: StoredState | None
    live: dict[str, Any] | None
    now: datetime
    error: DStreamError | None = None
    """Why the checkpoint cannot be read."""

    def text(self) -> str:
        """'streaming since 09:12:04 (pid 412) · checkpoint 7 of run 7f3a, stored 0.2 s ago · lag 1.2 s'

        While it is not streaming, the time is that of its condition, and the reason comes last.
        """
        parts = []
        if self.live:
            is_streaming = self.live["phase"] == "streaming"
            since = self.live["started_at"] if is_streaming else self.live.get("since", self.live["started_at"])
            parts.append(f"{self.live['phase']} since {since} (pid {self.live['pid']})")
        if self.stored:
            parts.append(f"checkpoint {self.stored.seq} of run {self.stored.run_id}, stored {self._stored()}")
        else:
            parts.append(f"checkpoint unreadable ({self.error.code})" if self.error else "no checkpoint")
        if self.live and self.live["lag_ms"] is not None:
            parts.append(f"lag {self.live['lag_ms'] / 1000:.1f} s")
        if self.live and (left_s := self.live.get("time_to_loss_s")) is not None:
            parts.append(f"time to loss {left_s / 3600:.1f} h")
        if self.live and self.live.get("reason"):
            parts.append(self.live["reason"])
        return " · ".join(parts)

    def document(self) -> dict[str, Any]:
        """The `--json` form."""
        return {
            "checkpoint": self.stored.seq if self.stored else None,
            "run_id": self.stored.run_id if self.stored else None,
            "stored_at": self.stored.stored_at if self.stored else None,
            "error": {"code": self.error.code, "message": self.error.message} if self.error else None,
            "running": self.live,
        }

    def _stored(self) -> str:
        """The age if under a minute, otherwise the time."""
        assert self.stored is not None
        try:
            age_s = (self.now - datetime.fromisoformat(self.stored.stored_at)).total_seconds()
        except (ValueError, TypeError):  # a state file written by hand
            return self.stored.stored_at
        return f"{max(age_s, 0.0):.1f} s ago" if age_s < 60 else self.stored.stored_at


def stream_of(project: Project, task: str) -> StreamView:
    """Return the task's stream."""
    stored, unreadable = None, None
    try:
        with closing(open_store(project.state, task)) as store:
            stored = store.load()
    except DStreamError as error:
        unreadable = error
    answer = ask_host(socket_path(project.socket_dir, project.stack, task), "status")
    return StreamView(stored, answer if answer and "pid" in answer else None, datetime.now(UTC), unreadable)

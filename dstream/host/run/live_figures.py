"""What a running host says of itself when it is asked: one JSON document, figures of the whole run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from dstream.host.run.job import Job, Progress

RunPhase = Literal["starting", "streaming", "draining", "restarting"]


def live_figures(job: Job, started_at: datetime, phase: RunPhase, progress: Progress) -> Mapping[str, Any]:
    """Rows are those settled at the destination; `in_flight` are read and not settled yet."""
    return {
        "task": job.task,
        "run_id": job.run_id,
        "pid": os.getpid(),
        "started_at": started_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "phase": phase,
        "input": job.input.label,
        "output": job.output.label,
        "rows": progress.rows_settled,
        "rows_rejected": progress.rows_rejected,
        "in_flight": progress.rows_relayed - progress.rows_settled,
        "bytes": progress.bytes_relayed,
        "checkpoints": progress.checkpoints_stored,
        "lag_ms": progress.lag_ms,
        "restarts": progress.restarts,
    }

"""A host in its own process, so that a test can kill it.

Usage: `python -m tests.conformance.hosted FOLDER INPUT_JSON OUTPUT_JSON [STATE_JSON [JOB_JSON]]`. STATE_JSON: the
attributes of a network location; the host is then a standby. JOB_JSON: other attributes of the job.

It writes one JSON line to stdout per event. SIGINT and SIGTERM request a stop.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

from dstream.errors import LockedError, UnreachableError, exit_code
from dstream.host import Progress, StopRequest, run_task
from dstream.state import StateLocation
from tests.conformance.runs import job, provider


class Printed:
    """Prints each event as a JSON line."""

    def __init__(self) -> None:
        self._rows = -1

    def log(self, level: str, event: str, /, **fields: Any) -> None:
        self._say({"event": event, **fields})

    def progress(self, progress: Progress) -> None:
        if progress.rows_relayed != self._rows:
            self._rows = progress.rows_relayed
            self._say({"event": "progress", "rows": progress.rows_relayed, "stored": progress.last_seq})

    def _say(self, message: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def main() -> int:
    folder, input_config, output_config = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
    stop = StopRequest()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.request())
    state: dict[str, Any] = json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}
    more: dict[str, Any] = {"max_in_flight": 100}
    if state:
        more |= {"standby": True, "state": StateLocation(folder=folder, **state)}
    more |= json.loads(sys.argv[5]) if len(sys.argv) > 5 else {}
    the_job = job(
        folder,
        input=provider("input.py", 3, **input_config),
        output=provider("output.py", 12, **output_config),
        drain_deadline_s=30.0,
        **more,
    )
    try:
        return 0 if run_task(the_job, events=Printed(), stop=stop).drained else 130
    except (LockedError, UnreachableError) as error:
        return exit_code(error)


if __name__ == "__main__":
    sys.exit(main())

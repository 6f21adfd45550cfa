"""`python -m tests.bench [SUBJECT...]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from tests.bench.measure import Result
from tests.bench.report import save, show

SUBJECTS = (
    "start",
    "command_start",
    "relay",
    "live_view",
    "store",
    "reader",
    "reader_wide",
    "reader_updates",
    "snapshot",
    "hot_table",
    "busy_tables",
    "idle",
    "latency",
    "delivery",
    "publisher",
    "sessions",
    "transforms",
    "transform_provider",
    "packing",
    "transactions",
    "end_to_end",
    "plan",
    "infrastructure",
    "infrastructure_many",
    "infrastructure_entities",
)


def main(names: list[str]) -> None:
    unknown = set(names) - set(SUBJECTS)
    if unknown:
        sys.exit(f"unknown subject: {', '.join(sorted(unknown))}; choose from {', '.join(SUBJECTS)}")
    results = []
    for name in names or SUBJECTS:
        found: Result | Sequence[Result] = import_module(f"tests.bench.{name}").run()
        for result in [found] if isinstance(found, Result) else found:
            print(show(result), flush=True)  # noqa: T201 - the table is this program's output
            results.append(result)
    print(f"\n{save(results)}")  # noqa: T201


main(sys.argv[1:])

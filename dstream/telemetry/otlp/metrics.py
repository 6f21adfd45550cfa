"""The metrics of `families.py` as observable instruments.

Names are those of Prometheus without the suffix `_total`, which every translation from OTLP to Prometheus adds to
counters (OpenTelemetry, "Prometheus and OpenMetrics Compatibility"). Units are UCUM's; a gauge of 0 or 1 has none,
since the translation of the unit 1 would rename it to `.._ratio`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from dstream.telemetry.families import Family, families
from dstream.telemetry.health import RunsWatch

_UNITS = {"rows": "{row}", "bytes": "By", "seconds": "s", "checkpoints": "{checkpoint}", "restarts": "{restart}"}
_LONGEST_NAME = 255


class Instruments:
    """Creates an instrument for each metric; `refresh` adds those that providers have reported since."""

    def __init__(self, meter: Meter, runs: RunsWatch) -> None:
        self._meter = meter
        self._runs = runs
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._collection: CallbackOptions | None = None
        self._families: dict[str, Family] = {}
        """The figures of that collection."""
        self.refresh()

    def refresh(self) -> None:
        with self._lock:
            for family in families(self._runs):
                for suffix in ("_sum", "_count") if family.kind == "summary" else ("",):
                    name = f"{family.name}{suffix}"
                    if name not in self._known and len(name) <= _LONGEST_NAME:
                        self._known.add(name)
                        self._create(family, name, suffix)

    def _create(self, family: Family, name: str, suffix: str) -> None:
        create = (
            self._meter.create_observable_gauge if family.kind == "gauge" else self._meter.create_observable_counter
        )
        create(name, [self._reading(family.name, suffix)], _UNITS.get(family.unit, ""), family.meaning)

    def _reading(self, name: str, suffix: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(options: CallbackOptions) -> Iterable[Observation]:
            family = self._now(options).get(name)
            samples = family.samples if family else []
            return [Observation(each.value, dict(each.labels)) for each in samples if each.suffix == suffix]

        return read

    def _now(self, collection: CallbackOptions) -> dict[str, Family]:
        """Return all families by name, once per collection: its instruments get the same options."""
        if collection is not self._collection:
            self._collection = collection
            self._families = {family.name: family for family in families(self._runs)}
        return self._families

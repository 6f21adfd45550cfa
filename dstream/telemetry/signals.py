"""Which signals of OpenTelemetry the environment asks for, and where they go.

Only the variables of the OpenTelemetry specification count ("OpenTelemetry Protocol Exporter", "Environment Variable
Specification"): an endpoint switches a signal on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

Signal = Literal["traces", "metrics"]
Log = Callable[..., None]
"""`log(level, event, **fields)`."""

SIGNALS: tuple[Signal, ...] = ("traces", "metrics")


def wanted_signals(environ: Mapping[str, str]) -> frozenset[Signal]:
    """Return what the environment asks to export."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return frozenset()
    return frozenset(signal for signal in SIGNALS if endpoint_of(signal, environ) and _exports(signal, environ))


def endpoint_of(signal: Signal, environ: Mapping[str, str]) -> str:
    own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "").strip()
    return own or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()


def _exports(signal: Signal, environ: Mapping[str, str]) -> bool:
    chosen = environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip() or "otlp"
    return "otlp" in [each.strip() for each in chosen.split(",")]

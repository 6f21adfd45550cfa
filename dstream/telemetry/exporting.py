"""OpenTelemetry: exports metrics and traces if the environment asks for it. Imports opentelemetry only then.

The standard variables are often set for all programs of a platform, so what is wrong with them, or a missing extra, is
a warning: rows matter more than figures about them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from dstream.telemetry.health import RunsWatch
from dstream.telemetry.signals import Log, wanted_signals

if TYPE_CHECKING:
    from dstream.telemetry.otlp.export import Export

_PROTOCOL = "http/protobuf"
_INSTALL = (
    "Install it: pip install opentelemetry-exporter-otlp-proto-http opentelemetry-sdk. To turn the export off, set "
    "OTEL_SDK_DISABLED=true."
)


@contextlib.contextmanager
def exporting(environ: Mapping[str, str], log: Log, runs: RunsWatch | None = None) -> Iterator[Export | None]:
    """Export traces, and the figures of these runs as metrics, as far as the environment asks for them.

    Yields None if nothing is exported. On exit, what is left is sent, for at most a few seconds.
    """
    export = _export(environ, log, runs)
    try:
        yield export
    finally:
        if export is not None:
            export.close()


def _export(environ: Mapping[str, str], log: Log, runs: RunsWatch | None) -> Export | None:
    signals = wanted_signals(environ) - (frozenset(["metrics"]) if runs is None else frozenset())
    if not signals:
        return None
    for signal in sorted(signals):
        own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "")
        protocol = own or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "") or _PROTOCOL
        if protocol != _PROTOCOL:
            reason = f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol}; DStream exports with {_PROTOCOL} only"
            hint = f"Set OTEL_EXPORTER_OTLP_PROTOCOL={_PROTOCOL}; the usual port of a collector for it is 4318."
            log("warning", "telemetry.unavailable", reason=reason, hint=hint)
            return None
    try:
        from dstream.telemetry.otlp.export import Export
    except ImportError as error:
        reason = f"OTEL_EXPORTER_OTLP_ENDPOINT is set, but the extra otel is not installed: {error}"
        log("warning", "telemetry.unavailable", reason=reason, hint=_INSTALL)
        return None
    try:
        return Export(signals, environ, log, runs)
    except ValueError as error:
        log("warning", "telemetry.unavailable", reason=str(error), hint="Check the variables OTEL_*.")
        return None

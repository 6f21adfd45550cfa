"""Logs, metrics and health of runs."""

from dstream.telemetry.log import LogFormat, StructuredLog

__all__ = ["LogFormat", "StructuredLog"]

"""What a run reports about itself."""

from dstream.telemetry.log import LogFormat, StructuredLog

__all__ = ["LogFormat", "StructuredLog"]

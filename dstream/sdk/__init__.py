"""For provider authors: derive from InputProvider or OutputProvider, then `StdioProviderHost(Class).run()`."""

from dstream.protocol.messages import RunOptions
from dstream.sdk._config import Duration, Secret, Size, config_schema, decode_config
from dstream.sdk._host import StdioProviderHost
from dstream.sdk._provider import InputProvider, OutputProvider
from dstream.sdk._stream import Batch, BatchLimits, Checkpoint, Lines, Row, State, Stop
from dstream.sdk._telemetry import Telemetry

__all__ = [
    "Batch",
    "BatchLimits",
    "Checkpoint",
    "Duration",
    "InputProvider",
    "Lines",
    "OutputProvider",
    "Row",
    "RunOptions",
    "Secret",
    "Size",
    "State",
    "StdioProviderHost",
    "Stop",
    "Telemetry",
    "config_schema",
    "decode_config",
]

"""For provider authors: derive from InputProvider or OutputProvider, then call `StdioProviderHost(Class).run()`.

The host waits for a provider's first line before it does anything else, so names that are needed only later are
imported on first use (`_LATER`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dstream.sdk._host import StdioProviderHost
from dstream.sdk._infrastructure import (
    Difference,
    Figure,
    InfrastructureContext,
    InfrastructureProvider,
    InfrastructureProviderBase,
    Plan,
    Resource,
    Result,
    Status,
)
from dstream.sdk._provider import Claim, InputProvider, OutputProvider, Requirement, TransformProvider
from dstream.sdk._stream import Batch, BatchLimits, Checkpoint, Lines, Row, State, Stop

if TYPE_CHECKING:
    from dstream.protocol.dead_letters import DeadLetter
    from dstream.protocol.messages import Finding, RunOptions
    from dstream.sdk._config import Duration, Secret, Size, config_schema, decode_config, identifier, run_only
    from dstream.sdk._dead_letters import DeadLetterStore
    from dstream.sdk._telemetry import Telemetry

__all__ = [
    "Batch",
    "BatchLimits",
    "Checkpoint",
    "Claim",
    "DeadLetter",
    "DeadLetterStore",
    "Difference",
    "Duration",
    "Figure",
    "Finding",
    "InfrastructureContext",
    "InfrastructureProvider",
    "InfrastructureProviderBase",
    "InputProvider",
    "Lines",
    "OutputProvider",
    "Plan",
    "Requirement",
    "Resource",
    "Result",
    "Row",
    "RunOptions",
    "Secret",
    "Size",
    "State",
    "Status",
    "StdioProviderHost",
    "Stop",
    "Telemetry",
    "TransformProvider",
    "config_schema",
    "decode_config",
    "identifier",
    "run_only",
]

_LATER = {
    "DeadLetter": "dstream.protocol.dead_letters",
    "DeadLetterStore": "dstream.sdk._dead_letters",
    "Duration": "dstream.sdk._config",
    "Finding": "dstream.protocol.messages",
    "RunOptions": "dstream.protocol.messages",
    "Secret": "dstream.sdk._config",
    "Size": "dstream.sdk._config",
    "Telemetry": "dstream.sdk._telemetry",
    "config_schema": "dstream.sdk._config",
    "decode_config": "dstream.sdk._config",
    "identifier": "dstream.sdk._config",
    "run_only": "dstream.sdk._config",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)

"""Runs the SDK's output over the lines of a file, with transforms, and prints the number of rows and the seconds."""

import sys
import time
from pathlib import Path
from typing import Any, cast

import msgspec

from dstream.protocol.transforms import decode_transforms
from dstream.sdk import Batch, OutputProvider
from dstream.sdk._channel import Channel
from dstream.sdk._output import OutputRun
from dstream.sdk._telemetry import StderrTelemetry
from dstream.sdk._transform.chain import TransformChain

_CHUNK = 256 * 1024


class Discard(OutputProvider[Any]):
    """Counts lines."""

    rows = 0

    def write(self, batch: Batch) -> None:
        self.rows += len(batch.lines)


class FromFile:
    """A channel without a host."""

    has_host = False

    def __init__(self, path: str) -> None:
        data = Path(path).read_bytes()
        self._chunks = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]

    def read_chunk(self, timeout_s: float | None = None) -> bytes:
        return self._chunks.pop(0) if self._chunks else b""


transforms = decode_transforms(msgspec.json.decode(sys.argv[2], type=list[msgspec.Raw]))
provider, channel = Discard(), FromFile(sys.argv[1])
provider.telemetry = StderrTelemetry()
started = time.perf_counter()
OutputRun(provider, cast("Channel", channel), TransformChain(transforms) if transforms else None).run()
print(provider.rows, time.perf_counter() - started)  # noqa: T201 - the result

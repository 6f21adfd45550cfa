"""Relays what a transform provider writes to the output, with the states of the checkpoints that it passes on."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dstream.host.run.passage import Passage
from dstream.host.run.relay import Relay
from dstream.protocol.messages import Checkpoint, End


class TransformRelay(Relay):
    """The reader of a transform's stdout."""

    role = "transform"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.passage = Passage()
        """What is inside the transform; the relay behind the input reports to it."""

    def _open(self, checkpoint: Checkpoint) -> None:
        self._ledger.opened(replace(checkpoint, state=self.passage.claim(checkpoint.seq)))

    def _read_s(self) -> float:
        oldest_s = self.passage.oldest_read_s
        return super()._read_s() if oldest_s is None else oldest_s

    def _end(self, end: End, out: list[bytes | memoryview]) -> None:
        self.passage.check_ended()
        super()._end(end, out)

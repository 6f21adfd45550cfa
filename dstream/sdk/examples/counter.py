"""counter: a resumable input that counts. Use it with `provider = "counter"`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated

import msgspec

from dstream.sdk import Checkpoint, Duration, InputProvider, Row, State, StdioProviderHost, Stop


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Settings of counter."""

    interval: Duration = Duration("1s")
    count: Annotated[int, msgspec.Meta(ge=1, description="stop after this many rows")] | None = None


class Counter(InputProvider[Config]):
    """Counts, one row per tick; resumable."""

    def read(self, state: State, stop: Stop) -> Iterator[Row | Checkpoint]:
        for number in itertools.count(state.get("next", 1)):
            if self.config.count is not None and number > self.config.count:
                return
            yield Row({"value": number}, OperationType="Insert")
            yield Checkpoint({"next": number + 1})
            if stop.wait(self.config.interval):
                return


if __name__ == "__main__":
    StdioProviderHost(Counter).run()

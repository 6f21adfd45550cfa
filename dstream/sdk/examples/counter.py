"""counter: a resumable input that counts. Use it with `provider = "counter"`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated

import msgspec

from dstream.sdk import Checkpoint, Duration, InputProvider, Row, State, StdioProviderHost, Stop

_Original = Annotated[int, msgspec.Meta(ge=0, description="as in the original DStream: like count, 0 for no limit")]


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Settings of counter."""

    interval: Duration = Duration("1s")
    count: Annotated[int, msgspec.Meta(ge=1, description="stop after this many rows")] | None = None
    max_count: _Original = 0
    max_count_in_camel_case: _Original = msgspec.field(name="maxCount", default=0)


class Counter(InputProvider[Config]):
    """Counts, one row per tick; resumable."""

    def read(self, state: State, stop: Stop) -> Iterator[Row | Checkpoint]:
        config = self.config
        limit = config.count or config.max_count or config.max_count_in_camel_case
        for number in itertools.count(state.get("next", 1)):
            if limit and number > limit:
                return
            yield Row({"value": number}, OperationType="Insert")
            yield Checkpoint({"next": number + 1})
            if stop.wait(self.config.interval):
                return


if __name__ == "__main__":
    StdioProviderHost(Counter).run()

"""A transform provider that drops every fifth row, writes every third one twice, and passes the others on as lines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from dstream.sdk import Batch, StdioProviderHost, TransformProvider


class Config(msgspec.Struct):
    factor: int = 1


class UnevenTransform(TransformProvider[Config]):
    """Changes the number of rows."""

    @classmethod
    def config_type(cls) -> type[Config]:
        return Config

    def transform(self, batch: Batch) -> Iterable[bytes | dict[str, Any]]:
        for line in batch.lines:
            value = json.loads(line)["data"]["value"]
            for copy in range(copies(value)):
                if copy or self.config.factor != 1:
                    yield {"data": {"value": value * self.config.factor, "copy": copy}}
                else:
                    yield line


def copies(value: int) -> int:
    return 0 if value % 5 == 0 else 2 if value % 3 == 0 else 1


if __name__ == "__main__":
    StdioProviderHost(UnevenTransform).run()

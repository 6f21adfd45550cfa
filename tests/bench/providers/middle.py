"""A transform provider as in the SDK's documentation: passes lines on or, with `changes`, sets a column of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from dstream.sdk import Batch, StdioProviderHost, TransformProvider


class Config(msgspec.Struct):
    changes: bool = False


class Middle(TransformProvider[Config]):
    """Writes as many rows as it reads."""

    @classmethod
    def config_type(cls) -> type[Config]:
        return Config

    def transform(self, batch: Batch) -> Iterable[bytes | dict[str, Any]]:
        if not self.config.changes:
            return batch.lines
        return map(_changed, batch.lines)


def _changed(line: bytes) -> dict[str, Any]:
    event: dict[str, Any] = msgspec.json.decode(line)
    event["data"]["Id"] += 1
    return event


StdioProviderHost(Middle).run()

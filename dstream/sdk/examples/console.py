"""console: an output that prints rows to stderr. Use it with `provider = "console"`."""

from __future__ import annotations

import sys
from typing import Literal

import msgspec

from dstream.sdk import Batch, OutputProvider, StdioProviderHost


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Settings of console: `json` prints each row, `count` only the number of rows."""

    format: Literal["json", "count"] = "json"


class Console(OutputProvider[Config]):
    """Prints rows; a printed row counts as durable."""

    def start(self) -> None:
        self._total = 0

    def write(self, batch: Batch) -> None:
        self._total += len(batch.lines)
        if self.config.format == "json":
            sys.stderr.write("".join(line.decode() + "\n" for line in batch.lines))
        else:
            sys.stderr.write(f"{self._total} row{'' if self._total == 1 else 's'}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    StdioProviderHost(Console).run()

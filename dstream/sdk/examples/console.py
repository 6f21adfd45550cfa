"""console: an output that prints rows to stderr. Use it with `provider = "console"`."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import msgspec

from dstream.sdk import Batch, OutputProvider, StdioProviderHost


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Settings of console: `json` prints each row, `count` only the number of rows."""

    format: Literal["json", "count"] = "json"
    output_format: Annotated[
        Literal["json", "simple", "structured"] | None,
        msgspec.Meta(
            description="as in the original DStream, instead of format: all but json print the data of each row"
        ),
    ] = msgspec.field(name="outputFormat", default=None)


class _Line(msgspec.Struct):
    data: msgspec.Raw


class Console(OutputProvider[Config]):
    """Prints rows; a printed row counts as durable."""

    def start(self) -> None:
        self._total = 0
        self._format = self.config.output_format or self.config.format

    def write(self, batch: Batch) -> None:
        first = self._total + 1
        self._total += len(batch.lines)
        if self._format == "json":
            sys.stderr.write("".join(line.decode() + "\n" for line in batch.lines))
        elif self._format != "count":
            rows = (bytes(msgspec.json.decode(line, type=_Line).data).decode() for line in batch.lines)
            sys.stderr.write("".join(f"Message #{number}: {row}\n" for number, row in enumerate(rows, first)))
        else:
            sys.stderr.write(f"{self._total} row{'' if self._total == 1 else 's'}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    StdioProviderHost(Console).run()

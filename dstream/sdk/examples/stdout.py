"""The output of `dstream run --dry-run`: writes rows to the stdout of `dstream run`, as an inherited descriptor."""

from __future__ import annotations

import os
import select

import msgspec

from dstream.errors import SystemFault
from dstream.sdk import Batch, OutputProvider, StdioProviderHost


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Set by `dstream run`."""

    descriptor: int
    max_rows: int | None = None
    """Rows after the first so many are dropped."""


class Stdout(OutputProvider[Config]):
    """Writes each row as one line. Rows are dropped once nobody reads them; `dstream run` then ends the run."""

    def start(self) -> None:
        self._is_read = True
        self._rows = 0

    def write(self, batch: Batch) -> None:
        left = len(batch.lines) if self.config.max_rows is None else max(0, self.config.max_rows - self._rows)
        lines = batch.lines[:left]
        self._rows += len(lines)
        view = memoryview(b"".join(line + b"\n" for line in lines))
        try:
            while view and self._is_read:
                view = view[self._write(view) :]
        except BrokenPipeError:
            self._is_read = False
        except OSError as error:
            raise SystemFault("output.failed", f"cannot write to stdout: {error.strerror}") from error

    def _write(self, view: memoryview) -> int:
        try:
            return os.write(self.config.descriptor, view)
        except BlockingIOError:  # another process made the shared descriptor non-blocking
            select.select([], [self.config.descriptor], [])
            return 0


if __name__ == "__main__":
    StdioProviderHost(Stdout).run()

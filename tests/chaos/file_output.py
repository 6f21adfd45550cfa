"""An output provider that appends lines to a file, and continues after a kill in the middle of a line."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from dstream.sdk import Batch, OutputProvider, StdioProviderHost


class Config(msgspec.Struct):
    path: str


class FileOutput(OutputProvider[Config]):
    name = "file_output"
    version = "0.1.0"

    @classmethod
    def config_type(cls) -> type[Config]:
        return Config

    def start(self) -> None:
        self._file = os.open(self.config.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        whole = Path(self.config.path).read_bytes().rfind(b"\n") + 1
        os.ftruncate(self._file, whole)

    def write(self, batch: Batch) -> None:
        data = memoryview(b"".join(line + b"\n" for line in batch.lines))
        while data:
            data = data[os.write(self._file, data) :]


if __name__ == "__main__":
    StdioProviderHost(FileOutput).run()

"""Contents of the tests' cloud: `world.json` is {"<id>": {inputs.., "messages": 3}}, `calls.log` lists the changes."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class World:
    """The file, used by one process at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "world.json"

    def read(self) -> dict[str, dict[str, Any]]:
        return json.loads(self._file.read_text()) if self._file.exists() else {}

    @contextmanager
    def changed(self) -> Iterator[dict[str, dict[str, Any]]]:
        with (self.folder / "world.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            world = self.read()
            yield world
            fresh = self._file.with_suffix(".new")
            fresh.write_text(json.dumps(world))
            fresh.rename(self._file)

    def log(self, line: str) -> None:
        with (self.folder / "calls.log").open("a") as file:
            file.write(line + "\n")

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls.log"
        return path.read_text().splitlines() if path.exists() else []

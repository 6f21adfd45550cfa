"""`dstream snapshot` passes a request on to the input of a running task."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from tests.conformance.commands import Place, ended, wait_until

PROVIDER = """\
import msgspec
from dstream.sdk import Checkpoint, InputProvider, Row, StdioProviderHost

class Config(msgspec.Struct):
    pass

class Source(InputProvider[Config]):
    wanted = ()

    def snapshot(self, tables):
        self.wanted = tuple(tables)

    def read(self, state, stop):
        while not stop.wait(0.05):
            for table in self.wanted:
                yield Row({"table": table})
            self.wanted = ()
            yield Checkpoint({})
        yield Checkpoint({})

StdioProviderHost(Source).run()
"""


def test_the_rows_of_the_requested_tables_are_streamed(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "source.py").write_text(PROVIDER)
    (tmp_path / "source").write_text(f"#!/bin/sh\nexec {sys.executable} {tmp_path}/source.py\n")
    (tmp_path / "source").chmod(0o755)
    (tmp_path / "dstream.hcl").write_text(
        'task "t" {\n  input { provider_path = "./source" }\n  output {\n    provider = "console"\n  }\n}\n'
    )
    early = place.dstream("snapshot", "t", "--table", "dbo.A")
    assert (early.returncode, "is not running" in early.stderr, "dstream run t" in early.stderr) == (3, True, True)
    process = place.start("run", "t")
    try:
        wait_until(lambda: list(tmp_path.glob(".dstream/run/*/t.sock")), "the task to run")
        wait_until(lambda: place.dstream("snapshot", "t", "--table", "dbo.A", "--json").returncode == 0, "streaming")
        assert process.stderr is not None
        assert any("dbo.A" in line for line in process.stderr)
    finally:
        ended(process, signal.SIGTERM)

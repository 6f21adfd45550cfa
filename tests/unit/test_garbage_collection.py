"""Commands and providers spend little time on looking for garbage."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import atexit, gc, sys
atexit.register(lambda: print(gc.get_threshold()[0] > 10_000, gc.get_freeze_count() > 0, file=sys.stderr))
{start}
"""


@pytest.mark.parametrize(
    "start",
    [
        "import dstream.cli.main; sys.argv = ['dstream', 'version']; dstream.cli.main.main()",
        "from dstream.sdk._serve import serve; serve(None)",
    ],
    ids=["command", "provider"],
)
def test_garbage_is_looked_for_rarely_and_not_at_exit(start: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(start=start)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == "True True\n"


_STREAM = """
import gc, sys
usual = gc.get_threshold()
import msgspec
from dstream.sdk import OutputProvider, StdioProviderHost

class Config(msgspec.Struct):
    pass

class Output(OutputProvider[Config]):
    def write(self, batch):
        print(gc.get_threshold() == usual, gc.get_freeze_count() > 0, file=sys.stderr)

StdioProviderHost(Output).run()
"""


def test_garbage_is_looked_for_as_usual_while_a_stream_runs() -> None:
    """Otherwise, the clients of connections that were lost fill the memory of a provider."""
    lines = ['{"command":"run","config":{}}', '{"data":{}}', '{"dstream":"checkpoint","seq":1,"n":1}']
    done = subprocess.run(
        [sys.executable, "-c", _STREAM],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == "True True\n", done.stdout

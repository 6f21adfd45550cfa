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

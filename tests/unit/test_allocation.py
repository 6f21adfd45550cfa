"""A stream keeps the memory of its buffers."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import resource
from dstream.allocation import keep_freed_memory
{start}
def use():
    for _ in range(10):
        [b"x" * 1024 * 1024 for _ in range(8)]
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_buffers_are_not_mapped_again_and_again() -> None:
    assert page_faults("keep_freed_memory()") < 1000 < page_faults("")


def page_faults(start: str) -> int:
    """When eight buffers of 1 MiB are used ten times."""
    program = _PROGRAM.format(start=start)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return int(done.stdout)

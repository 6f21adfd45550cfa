"""Waiting for a provider's output in a host with many open files."""

from __future__ import annotations

import fcntl
import os
import resource

from dstream.host.provider.process import is_readable


def test_a_descriptor_above_1024_can_be_waited_for() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    reader, writer = os.pipe()
    high = fcntl.fcntl(reader, fcntl.F_DUPFD, 1500)
    try:
        assert not is_readable(high, 0.0)
        os.write(writer, b"x")
        assert is_readable(high, 1.0)
        os.close(writer)
        writer = -1
        os.read(high, 1)
        assert is_readable(high, 1.0), "the end counts as readable"
    finally:
        for each in (reader, high, *([writer] if writer >= 0 else [])):
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

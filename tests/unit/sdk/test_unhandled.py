"""What is reported for an exception that a provider's author did not handle."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from dstream.sdk._unhandled import unhandled


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/x/a.csv"), "No such file or directory: /x/a.csv"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device"),
    ],
)
def test_a_refusal_of_the_system_is_one_readable_error(
    error: OSError, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    reported = unhandled(error)
    assert (reported.code, reported.message) == ("system.failed", message)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "error",
    [
        KeyError("next"),
        OSError("raised by a library"),
        ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)),
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    ],
)
def test_anything_else_is_a_crash_with_its_traceback(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert unhandled(error).code == "provider.crashed"
    assert type(error).__name__ in capsys.readouterr().err

"""Starts a program that cannot outlive this process.

On Linux, the kernel can kill a program when its parent dies (prctl(2), PR_SET_PDEATHSIG), but the child process must
request that before it executes the program. A `preexec_fn` would do so in a fork of this process, where running Python
is unsafe once there are threads: gRPC's fork handlers have aborted such children. So a small Python interpreter makes
the request, then replaces itself with the program.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

_LAUNCH = """
import ctypes, os, sys
parent, report, ignored, *command = sys.argv[1:]
os.set_inheritable(int(report), False)
libc = ctypes.CDLL(None)
libc.prctl(1, 9, 0, 0, 0)
if os.getppid() != int(parent):
    os._exit(1)
for each in ignored.split(","):
    libc.signal(int(each), None)
try:
    os.execvp(command[0], command)
except OSError as error:
    os.write(int(report), b"%d" % error.errno)
os._exit(127)
"""
"""1 is PR_SET_PDEATHSIG, 9 is SIGKILL. If the parent died before the request, no signal comes, so the launcher exits by
itself. It resets the signals in `_IGNORED` to SIG_DFL, which is NULL: importing the module `signal` takes as long as
the rest.

The kernel signals once for each thread that becomes the parent while a process with several threads dies, so the signal
must be one that a program cannot count.
"""
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ) if sys.platform == "linux" else ()
"""The signals that every Python interpreter ignores; a program would inherit that."""


def start(command: Sequence[str], *, pass_fds: Sequence[int] = (), **options: Any) -> subprocess.Popen[bytes]:
    """Start `command` in its own session, with the options of `subprocess.Popen`. It is killed if this process dies.

    Call it from a thread that lives as long as the program should: the kernel watches the thread that started it, not
    the process. On systems other than Linux, the program only gets its own session. Raises OSError if it cannot be
    executed.
    """
    if sys.platform != "linux":
        return subprocess.Popen(list(command), start_new_session=True, pass_fds=pass_fds, **options)
    reader, writer = os.pipe()
    with open(reader, "rb") as report:
        numbers = [str(os.getpid()), str(writer), ",".join(str(int(each)) for each in _IGNORED)]
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCH, *numbers]
        try:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                [*launcher, *command], start_new_session=True, pass_fds=(writer, *pass_fds), **options
            )
        finally:
            os.close(writer)
        failure = report.read()
    if failure:
        with process:  # closes its pipes and waits for it
            pass
        raise OSError(int(failure), os.strerror(int(failure)), command[0])
    return process

"""Who runs this command, and where, as far as the system knows."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Mapping
from pathlib import Path

from dstream.audit._entry import AuditOrigin

_LOGIN_ID = Path("/proc/self/loginuid")
_NO_LOGIN = 2**32 - 1
"""The login id of processes that no login started, such as services (pam_loginuid(8))."""


def origin(environ: Mapping[str, str]) -> AuditOrigin:
    """Return the origin of this process. The account comes from the kernel, not from USER or LOGNAME."""
    return AuditOrigin(
        user=_account(os.geteuid()),
        host=socket.gethostname(),
        pid=os.getpid(),
        login=_login(),
        actor=environ.get("DSTREAM_AUDIT_ACTOR", ""),
        ssh_from=environ.get("SSH_CONNECTION", "").partition(" ")[0],
    )


def _login() -> str:
    try:
        number = int(_LOGIN_ID.read_text())
    except (OSError, ValueError):  # a kernel without audit support
        return ""
    return "" if number == _NO_LOGIN else _account(number)


def _account(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # no entry for this id, as in many containers
        return str(number)

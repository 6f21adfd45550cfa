"""Ports on 127.0.0.1: chooses free ones, and detects conflicts before a server starts.

A sandbox keeps its ports, so they are chosen below the ephemeral ranges (32768 and up on Linux, "ip_local_port_range"
in ip(7); 49152 and up elsewhere, RFC 6335 section 6), whose ports may be taken at the next start.
"""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Mapping

from dstream_sandbox.errors import SandboxError

HOST = "127.0.0.1"
_CHOICE = range(20_000, 32_768)


def free_ports(count: int) -> list[int]:
    """Distinct ports that are free now."""
    found: list[int] = []
    for port in random.SystemRandom().sample(_CHOICE, len(_CHOICE)):
        if _refusal(port) is None:
            found.append(port)
        if len(found) == count:
            return found
    raise SandboxError(f"no free ports between {_CHOICE.start} and {_CHOICE.stop - 1} on {HOST}")


def require_free(ports: Mapping[str, int]) -> None:
    """Check `ports`, keyed by option. Raises SandboxError for one that is in use, not permitted or specified twice."""
    options: dict[int, str] = {}
    for option, port in ports.items():
        if port in options:
            raise SandboxError(f"{options[port]} and {option} are both {port}; choose different ports")
        options[port] = option
        if refusal := _refusal(port):
            raise SandboxError(f"port {port} {refusal}; choose another: dstream sandbox up {option} PORT")


def _refusal(port: int) -> str | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"on {HOST} is already in use"
            return f"on {HOST} cannot be used ({error.strerror})"
    return None

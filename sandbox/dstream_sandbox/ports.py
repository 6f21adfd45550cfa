"""Ports on 127.0.0.1: choosing free ones, and finding out before a server does that one is taken.

A sandbox keeps its ports for years, so they are chosen below the ranges from which systems give ports to outgoing
connections (32768 up on Linux, "ip_local_port_range" in ip(7); 49152 up elsewhere, RFC 6335 section 6): one of those
may be in use by anybody at the next start.
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
    """Different ports on which nobody listens now."""
    found: list[int] = []
    for port in random.SystemRandom().sample(_CHOICE, len(_CHOICE)):
        if _refusal(port) is None:
            found.append(port)
        if len(found) == count:
            return found
    raise SandboxError(f"no free ports between {_CHOICE.start} and {_CHOICE.stop - 1} on {HOST}")


def require_free(ports: Mapping[str, int]) -> None:
    """`ports` by the option that sets each. Raises SandboxError for one that is taken, forbidden or named twice."""
    options: dict[int, str] = {}
    for option, port in ports.items():
        if port in options:
            raise SandboxError(f"{options[port]} and {option} are both {port}; each server needs a port of its own")
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
                return f"on {HOST} is taken by another program"
            return f"on {HOST} can't be used ({error.strerror})"
    return None

"""Whether the client of a loopback connection is a process of this user.

The Pulumi engine connects to a provider at 127.0.0.1 and a port, without TLS, a token or other credentials (pulumi
3.259, sdk/go/common/resource/plugin: `dialPlugin`, `GetProviderAttachPort`), so any account of the machine could give a
provider orders. Linux tells the owner of each TCP socket in /proc/net/tcp (proc(5)). The sandbox has a copy of this
file. Elsewhere than on Linux, nothing is checked.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

_TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
_KNOWN_S = 5.0
"""Reading the tables takes milliseconds, and tens of them on busy machines. Meanwhile, nobody else gets the port: the
engine closes its connections itself, after which the kernel keeps the port for a minute (TIME_WAIT, RFC 9293, 3.6)."""
_READS = 3
"""The tables are read in pieces: a socket can be missed when others close meanwhile."""
_LOCAL, _REMOTE, _UID = 1, 2, 7
_LOOPBACK = ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")
_known_until: dict[tuple[int, int, int], float] = {}
"""By user and ports."""


def is_own_peer(peer_port: int, port: int) -> bool:
    """Whether the socket at `peer_port` that is connected to `port`, both on the loopback interface, belongs to this
    process's user."""
    if not _TABLES[0].exists():
        return True
    now, user = time.monotonic(), os.geteuid()
    if _known_until.get((user, peer_port, port), 0.0) > now:
        return True
    for _ in range(_READS):
        if owners := {*_owners(f"{peer_port:04X}", f"{port:04X}")}:
            if owners == {user}:
                _known_until[user, peer_port, port] = now + _KNOWN_S
            return owners == {user}
    return False


def _owners(peer_port: str, port: str) -> Iterator[int]:
    for table in _TABLES:
        if not table.exists():  # IPv6 is disabled
            continue
        for line in table.read_text("ascii").splitlines()[1:]:
            if f":{peer_port} " not in line:
                continue
            fields = line.split()
            address, _, local_port = fields[_LOCAL].partition(":")
            if local_port == peer_port and address in _LOOPBACK and fields[_REMOTE].endswith(f":{port}"):
                yield int(fields[_UID])

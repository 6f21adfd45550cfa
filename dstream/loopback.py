"""Tells this machine's own addresses from others: traffic to them never leaves the machine."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether the host is `localhost` (RFC 6761, 6.3) or a loopback address, also in brackets. Resolves no name: one
    that is unknown here counts as remote."""
    host = host.strip().strip("[]").lower()
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

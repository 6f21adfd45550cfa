"""Namespaces of the admin API's XML, and the paths in its addresses."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

__all__ = ["ATOM", "COUNTS", "SB", "XSD", "XSI", "entity_path"]

ATOM = "http://www.w3.org/2005/Atom"
SB = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
COUNTS = "http://schemas.microsoft.com/netservices/2011/06/servicebus"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
XSD = "http://www.w3.org/2001/XMLSchema"


def entity_path(address: str) -> str:
    """Return the path of a forwarding destination. SDKs specify its full address, users its path."""
    path = urlsplit(address).path if "://" in address else address
    return unquote(path).strip("/")

"""Who may use the control endpoints (`/_sandbox/..`): clients with the sandbox's token, which are not web pages.

The token keeps other accounts of the machine out. Web pages are recognized by the `Origin` that a browser sends with
each cross-origin request that can change something (Fetch standard, "Origin header"), and by a `Host` other than the
loopback interface: a page is same-origin if its own name resolves to 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

TOKEN_FILE = "control.token"
NO_TOKEN = (
    401,
    b'{"error": "Send the header Authorization: Bearer TOKEN. The token is in control.token in the data folder, and '
    b'`dstream sandbox env` exports it as SANDBOX_CONTROL_TOKEN."}',
)
"""The status and JSON for a request without the token."""
_TOKEN_BYTES = 32


def ensure_token(path: Path) -> str:
    """Return the token in the file, which only the owner can read; create it if there is none. Raises OSError."""
    if not path.exists():
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{secrets.token_hex(8)}.new")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(_TOKEN_BYTES))
            with contextlib.suppress(FileExistsError):  # created by another process meanwhile
                os.link(draft, path)
        finally:
            draft.unlink()
    return path.read_text()


def authorization(token: str) -> dict[str, str]:
    """The headers of a request with the token."""
    return {"Authorization": f"Bearer {token}"}


def has_token(headers: Mapping[str, str], token: str) -> bool:
    """Whether the request has this token; nothing has the empty token."""
    given = headers.get("authorization", "")
    return bool(token) and hmac.compare_digest(given.encode("latin-1", "replace"), f"Bearer {token}".encode("latin-1"))


def web_page_refusal(headers: Mapping[str, str]) -> str | None:
    """Return why a request may come from a web page; None if it does not. Names in `headers` are in lower case."""
    if "origin" in headers:
        return "The sandbox does not serve web pages: remove the header Origin."
    host = headers.get("host")
    if host is not None and not _is_loopback(host):
        return "The sandbox is only at localhost and 127.0.0.1: the header Host names another host."
    return None


def _is_loopback(host: str) -> bool:
    """`host`: NAME, NAME:PORT, [IPV6] or [IPV6]:PORT (RFC 9110, section 7.2)."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False

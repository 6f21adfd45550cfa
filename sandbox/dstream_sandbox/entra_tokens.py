"""The sandbox's tokens of Entra ID: who it is, for which resource, and until when.

Entra ID signs tokens with its private keys (RS256); the sandbox signs with the secret of the server that accepts them
(HS256). "Access tokens in the Microsoft identity platform": aud, oid, exp.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import NamedTuple

SERVICE_BUS = "https://servicebus.azure.net"
SQL = "https://database.windows.net"

_HEADER = {"alg": "HS256", "typ": "JWT"}


class InvalidToken(Exception):
    """The token was not issued by the sandbox."""


class Claims(NamedTuple):
    """`audience`: without a slash at its end. `expires_at`: seconds since 1970."""

    audience: str
    principal_id: str
    expires_at: float


def issue(key: str, audience: str, principal_id: str, expires_at: float) -> str:
    """Return a token of the identity."""
    claims = {"aud": audience, "oid": principal_id, "exp": int(expires_at)}
    signed = ".".join(_encoded(json.dumps(part).encode()) for part in (_HEADER, claims))
    return f"{signed}.{_signature(key, signed)}"


def claims_of(key: str, token: str) -> Claims:
    """Check the signature and return the claims. Raises InvalidToken."""
    signed, _, signature = token.rpartition(".")
    if not hmac.compare_digest(_signature(key, signed).encode(), signature.encode()):
        raise InvalidToken
    claims = json.loads(_decoded(signed.partition(".")[2]))
    return Claims(claims["aud"].rstrip("/"), claims["oid"], claims["exp"])


def _signature(key: str, signed: str) -> str:
    return _encoded(hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

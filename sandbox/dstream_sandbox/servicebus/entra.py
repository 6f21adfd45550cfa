"""Access with Entra ID: tokens that name an identity, and the rights that its roles give.

Microsoft, "Authenticate and authorize an application with Microsoft Entra ID to access Azure Service Bus entities": a
token is for the resource https://servicebus.azure.net; roles apply to the namespace, a queue, a topic or a
subscription. Entra ID signs tokens with its private keys (RS256); the sandbox signs its own with its key (HS256).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dstream_sandbox.servicebus.access import AccessDenied, Grant, Right, covers

__all__ = ["Identities", "Role", "issue"]

_AUDIENCE = "https://servicebus.azure.net"
_HEADER = {"alg": "HS256", "typ": "JWT"}


@dataclass(frozen=True, slots=True)
class Role:
    """What an identity may do. `path`: of the entity, in lower case; empty for the whole namespace."""

    principal_id: str
    rights: frozenset[Right]
    path: str = ""


class Identities:
    """Checks tokens that were signed with `key`. `roles` returns the current ones."""

    def __init__(self, key: str, roles: Callable[[], Iterable[Role]]) -> None:
        self._key = key
        self._roles = roles

    def check(self, token: str, path: str, now: float) -> Grant:
        """Return what the token grants at `path`, maybe nothing. Raises AccessDenied for an invalid token."""
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(_signature(self._key, signed), signature):
            raise AccessDenied("InvalidSignature: The token has an invalid signature.")
        claims = json.loads(_decoded(signed.partition(".")[2]))
        if claims["aud"].rstrip("/") != _AUDIENCE:
            raise AccessDenied("InvalidAudience: The token is not for the requested resource.")
        if now >= claims["exp"]:
            raise AccessDenied("ExpiredToken: The token is expired.")
        rights: set[Right] = set()
        for role in self._roles():
            if role.principal_id.lower() == claims["oid"].lower() and covers(role.path, path):
                rights |= role.rights
        return Grant(path, frozenset(rights), claims["exp"])


def issue(key: str, principal_id: str, expires_at: float) -> str:
    """Return a token of the identity."""
    claims = {"aud": _AUDIENCE, "oid": principal_id, "exp": int(expires_at)}
    signed = ".".join(_encoded(json.dumps(part).encode()) for part in (_HEADER, claims))
    return f"{signed}.{_signature(key, signed)}"


def _signature(key: str, signed: str) -> str:
    return _encoded(hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

"""Access with Entra ID: tokens that name an identity, and the rights that its roles give.

Microsoft, "Authenticate and authorize an application with Microsoft Entra ID to access Azure Service Bus entities": a
token is for the resource https://servicebus.azure.net; roles apply to the namespace, a queue, a topic or a
subscription.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dstream_sandbox.entra_tokens import SERVICE_BUS, InvalidToken, claims_of
from dstream_sandbox.servicebus.access import AccessDenied, Grant, Right, covers

__all__ = ["Identities", "Role"]


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
        try:
            claims = claims_of(self._key, token)
        except InvalidToken as error:
            raise AccessDenied("InvalidSignature: The token has an invalid signature.") from error
        if claims.audience != SERVICE_BUS:
            raise AccessDenied("InvalidAudience: The token is not for the requested resource.")
        if now >= claims.expires_at:
            raise AccessDenied("ExpiredToken: The token is expired.")
        rights: set[Right] = set()
        for role in self._roles():
            if role.principal_id.lower() == claims.principal_id.lower() and covers(role.path, path):
                rights |= role.rights
        return Grant(path, frozenset(rights), claims.expires_at)

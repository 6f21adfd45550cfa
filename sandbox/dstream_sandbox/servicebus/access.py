"""Access control: shared access keys, the tokens signed with them, and the paths that a token grants access to.

Token format: Microsoft, "Service Bus access control with Shared Access Signatures". `sr` is signed as it appears in the
token, URL-encoded; the signature is HMAC-SHA256 over `sr + "\\n" + se`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_plus

__all__ = ["AccessDenied", "Grant", "KeyRing", "Right", "SharedKey", "covers", "path_of"]

Right = Literal["Send", "Listen", "Manage"]
_TOKEN_PREFIX = "sharedaccesssignature "
_JWT_PREFIX = "eyJ"
"""How each JSON Web Token starts: `{"` in base64."""


class AccessDenied(Exception):
    """The text is the description sent to the client."""


@dataclass(frozen=True, slots=True)
class SharedKey:
    """A shared access policy: of the namespace (`path` empty) or of one entity."""

    name: str
    keys: tuple[str, ...]  # primary and, if set, secondary
    rights: frozenset[Right] = frozenset(("Send", "Listen", "Manage"))
    path: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """The access that a verified token or password grants."""

    path: str  # lower case; empty for the whole namespace
    rights: frozenset[Right]
    expires_at: float

    def allows(self, path: str, right: Right, now: float) -> bool:
        if now >= self.expires_at or not (right in self.rights or "Manage" in self.rights):
            return False
        return covers(self.path, path)


class KeyRing:
    """The current policies: the namespace's `keys` (or, if they can change, a function that returns them), and those
    that `policies_of` returns for the entity at a path. `identity`: checks a token of Entra ID at a path
    and time."""

    def __init__(
        self,
        keys: Iterable[SharedKey] | Callable[[], Iterable[SharedKey]],
        policies_of: Callable[[str], Iterable[SharedKey]] | None = None,
        identity: Callable[[str, str, float], Grant] | None = None,
    ) -> None:
        fixed = () if callable(keys) else tuple(keys)
        self._keys = keys if callable(keys) else lambda: fixed
        self._policies_of = policies_of
        self._identity = identity

    def check_password(self, name: str, password: str) -> Grant | None:
        """Check the credentials of SASL PLAIN: a policy's name and one of its keys."""
        for key in self._keys():
            if key.name == name and any(hmac.compare_digest(password.encode(), k.encode()) for k in key.keys):
                return Grant(key.path.lower(), key.rights, float("inf"))
        return None

    def check_token(self, token: str, audience: str, now: float) -> Grant:
        """Return the access that `token` grants to `audience`. Raises AccessDenied."""
        if self._identity is not None and token.startswith(_JWT_PREFIX):
            return self._identity(token, path_of(audience), now)
        if not token.lower().startswith(_TOKEN_PREFIX):
            raise AccessDenied("InvalidToken: The token is not a SharedAccessSignature.")
        fields = dict(part.partition("=")[::2] for part in token[len(_TOKEN_PREFIX) :].split("&"))
        try:
            resource, signature, expiry, name = fields["sr"], fields["sig"], fields["se"], fields["skn"]
            expires_at = float(expiry)
        except (KeyError, ValueError) as exc:
            raise AccessDenied("MalformedToken: The token must have sr, sig, se and skn.") from exc
        wanted, resource_path = path_of(audience), path_of(unquote_plus(resource))
        if not covers(resource_path, wanted):
            raise AccessDenied("InvalidAudience: The token is not for the requested resource.")
        key = self._signer(unquote_plus(name), unquote_plus(signature), f"{resource}\n{expiry}", wanted)
        if now >= expires_at:
            raise AccessDenied("ExpiredToken: The token is expired.")
        return Grant(wanted, key.rights, expires_at)

    def _signer(self, name: str, signature: str, signed: str, path: str) -> SharedKey:
        for key in self._policies(path):
            if key.name != name or not covers(key.path.lower(), path):
                continue
            for secret in key.keys:
                digest = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
                if hmac.compare_digest(base64.b64encode(digest), signature.encode()):
                    return key
        raise AccessDenied("InvalidSignature: The token has an invalid signature.")

    def _policies(self, path: str) -> Iterator[SharedKey]:
        """The policies of the namespace, then of each entity along `path`."""
        yield from self._keys()
        parts = path.split("/")
        if self._policies_of is not None:
            for depth in range(1, len(parts) + 1):
                yield from self._policies_of("/".join(parts[:depth]))


def path_of(address: str) -> str:
    """The entity's path in an address or audience: `sb://host:port/Orders/` and `orders` are the same."""
    _, scheme, rest = address.partition("://")
    path = rest.partition("/")[2].partition("?")[0] if scheme else address
    return unquote_plus(path).strip("/").lower()


def covers(opened: str, path: str) -> bool:
    return not opened or path == opened or path.startswith(opened + "/")

"""Signs plan files with Ed25519 (RFC 8032), and verifies them. Uses the package `cryptography`, imported on use."""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dstream.errors import ConfigError, RefusedError
from dstream.private_files import read_secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_ALGORITHM = "ed25519"
_SHOWN_DIGITS = 16
_CREATE = "Create one: openssl genpkey -algorithm ed25519 -out KEY.pem"
_EXTRACT = "Extract it: openssl pkey -in KEY.pem -pubout -out PUBLIC.pem"


class PlanSignature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As in the plan file."""

    algorithm: str
    key: str
    """SHA-256 of the public key (SubjectPublicKeyInfo, DER), as `openssl pkey -pubin -outform DER | sha256sum`."""
    value: str
    """Base64."""

    @property
    def short_key(self) -> str:
        return self.key[:_SHOWN_DIGITS]


def sign(content: bytes, private_key: Path) -> PlanSignature:
    """Return the signature of the content. Raises ConfigError `plan.bad_key`, `plan.no_cryptography`."""
    key = _loaded(private_key, is_private=True)
    value = base64.b64encode(key.sign(content)).decode("ascii")
    return PlanSignature(_ALGORITHM, _id(key.public_key()), value)


def verify(content: bytes, signature: PlanSignature | None, public_key: Path, path: Path) -> None:
    """Raise RefusedError unless the content is signed with this key: `plan.unsigned`, `plan.other_key`,
    `plan.bad_signature`; ConfigError `plan.bad_key`, `plan.no_cryptography`.
    """
    key = _loaded(public_key, is_private=False)
    if signature is None:
        raise RefusedError(
            "plan.unsigned",
            f"{path} has no signature",
            hint="Sign the plan when you make it: dstream plan TASK... --out FILE --sign KEY.pem",
        )
    if signature.algorithm == _ALGORITHM and signature.key != _id(key):
        raise RefusedError(
            "plan.other_key",
            f"{path} is signed with the key {signature.short_key}, and {public_key} is the key "
            f"{_id(key)[:_SHOWN_DIGITS]}",
            hint="Find out who made the plan. If it is yours, pass the public key that belongs to its private key.",
        )
    if signature.algorithm != _ALGORITHM or not _is_right(key, content, signature.value):
        raise RefusedError(
            "plan.bad_signature",
            f"the signature of {path} does not match its content: the file was changed after it was signed",
            hint="Do not apply it. Re-create it: dstream plan TASK... --out FILE --sign KEY.pem",
        )


def _is_right(key: Ed25519PublicKey, content: bytes, value: str) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(base64.b64decode(value, validate=True), content)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _id(key: Ed25519PublicKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _loaded(path: Path, *, is_private: bool) -> Any:
    """Return the Ed25519 key in a PEM file. No part of the file is quoted in errors."""
    what, hint = ("private", _CREATE) if is_private else ("public", _EXTRACT)
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    except ImportError:
        raise ConfigError(
            "plan.no_cryptography",
            "signatures of plan files require a package that is not installed",
            hint="Install it: pip install cryptography",
        ) from None
    try:
        text = (read_secret(path) if is_private else path.read_text(encoding="ascii")).encode()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a PEM file"
        raise ConfigError("plan.bad_key", f"cannot read the {what} key {path}: {reason}", hint=hint) from None
    try:
        key = (
            serialization.load_pem_private_key(text, password=None)
            if is_private
            else serialization.load_pem_public_key(text)
        )
    except TypeError:
        raise ConfigError(
            "plan.bad_key",
            f"the private key {path} is encrypted, which DStream does not support",
            hint=f"Decrypt it: openssl pkey -in {path} -out KEY.pem",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError("plan.bad_key", f"{path} is not a {what} key in PEM format", hint=hint) from None
    if not isinstance(key, Ed25519PrivateKey if is_private else Ed25519PublicKey):
        raise ConfigError("plan.bad_key", f"{path} is not an Ed25519 key", hint=_CREATE)
    return key

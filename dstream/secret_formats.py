"""Secrets that are recognized by their format or by what is around them, although nobody marked them. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

MASK = "***"

_NAMES = r"password|passwd|pwd|passphrase|shared ?access ?key|shared ?access ?signature|signature|sig|account ?key"
_NAMES += r"|api[-_]?key|(?:access|refresh|auth|id|sas|bearer)[-_]?token|client[-_]?secret"
_SIGN = rf"(?:(?:{_NAMES})\s*=\s*|(?:token|secret)=)"
"""`token = x` may be prose."""
_CONFIG_PART = re.compile(rf"(?i)(?<![a-z0-9]){_SIGN}(\{{[^}}]*\}}|\"[^\"]*\"|[^;&]+)")
_TEXT_PART = re.compile(rf"(?i)(?<![a-z0-9])({_SIGN})(?!\.\.\.(?:[;&\s\"']|$))(?:\{{[^}}]*\}}|[^;&\s\"']+)")
"""`...` is the placeholder of a hint, not a secret."""
_FIELD = re.compile(rf"""(?i)(["'](?:[\w-]*[_-])?(?:{_NAMES}|token|secret)["']\s*:\s*)(["'])(?:\\.|(?!\2).)+\2""")
"""A member of a JSON object or a Python dict."""
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)([^/\s@]+)(?=@)")

_HEADER = re.compile(
    r"""(?i)(authorization["']?\s*[:=]\s*["']?(?:(?:bearer|basic|digest|negotiate|apikey|sharedaccesssignature)\s+)?"""
    r"""|(?:api|functions|subscription)-key["']?\s*:\s*["']?|\b(?:set-)?cookie["']?\s*:\s*["']?)[^\s"',;]+"""
)
_HEADER_WORDS = ("authorization", "-key", "cookie")
_BEARER = re.compile(r"(?i)(\bbearer\s+)[\w.~+/-]{16,}=*")
_CREDENTIALS = re.compile(r"(?i)(bearer|apikey|basic)\s+(\S{8,})")
"""The value of an Authorization header."""
_JWT = re.compile(r"\beyJ[\w-]{5,}\.eyJ[\w-]{5,}(?:\.[\w-]*)?")
"""JSON Web Token: header and payload begin with `{"` in base64 (RFC 7519, RFC 7515)."""
_PRIVATE_KEY = re.compile(r"(-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----).*?(-----END|$)", re.DOTALL)
"""RFC 7468."""


def without_known_formats(text: str) -> str:
    """Mask what looks like a secret. The conditions keep this fast for ordinary text."""
    if "=" in text or ":" in text:
        small = text.lower()
        if any(word in small for word in _HEADER_WORDS):
            text = _HEADER.sub(rf"\g<1>{MASK}", text)
        if ":" in text and ('"' in text or "'" in text):
            text = _FIELD.sub(rf"\g<1>\g<2>{MASK}\g<2>", text)
    if "earer" in text or "EARER" in text:
        text = _BEARER.sub(rf"\g<1>{MASK}", text)
    if "=" in text:
        text = _TEXT_PART.sub(rf"\g<1>{MASK}", text)
    if "eyJ" in text:
        text = _JWT.sub(MASK, text)
    if "PRIVATE KEY-----" in text:
        text = _PRIVATE_KEY.sub(rf"\g<1>{MASK}\g<2>", text)
    return _URL_PASSWORD.sub(rf"\g<1>{MASK}", text) if "://" in text else text


def secret_parts(text: str) -> Iterator[str]:
    """Yield the secrets in a value of a config: in a connection string, a URL, or the value of a header."""
    for match in _CONFIG_PART.finditer(text):
        part = match[1].strip()
        yield part
        yield part.strip("{}\"'")
    for match in _URL_PASSWORD.finditer(text):
        yield match[2]
    credentials = _CREDENTIALS.fullmatch(text.strip())
    if credentials and credentials[1].lower() != "basic":
        yield credentials[2]
    elif credentials and (password := _basic_password(credentials[2])):
        yield credentials[2]
        yield password


def _basic_password(encoded: str) -> str:
    """Return the password in the credentials of an `Authorization: Basic` header; empty if they are something else."""
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""

"""The seal of a plan file: a digest of its content, and fingerprints that name the fields that were altered. Pure.

Whoever can write the file can compute both again. They detect accidents and careless edits; a signature
(plan_signature.py) detects the others.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from dstream.cli.lifecycle.plan_fields import canonical, nodes

DIGEST, FINGERPRINTS, SIGNATURE = "digest", "fingerprints", "signature"
_DIGITS = 6
"""Hexadecimal digits of a fingerprint, which only names a field: the digest is what detects the change."""


def content_of(document: Mapping[str, Any]) -> bytes:
    """Return what the digest and the signature are of: the whole file without these fields, in canonical form."""
    return canonical(_unsealed(document))


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document with its seal, without a signature."""
    content = _unsealed(document)
    digest = hashlib.sha256(content_of(content)).hexdigest()
    return {**content, DIGEST: digest, FINGERPRINTS: "".join(_fingerprints(content).values()), SIGNATURE: None}


def altered_fields(document: Mapping[str, Any]) -> list[str]:
    """Return the fields that do not match the seal, with paths; empty if it is intact.

    A field that was removed is named by the object or list that it was in.
    """
    if DIGEST not in document:
        return [DIGEST]
    right = sealed(document)
    kept = str(document.get(FINGERPRINTS, ""))
    if document.get(DIGEST) == right[DIGEST]:
        return [] if kept == right[FINGERPRINTS] else [FINGERPRINTS]
    known = Counter(kept[start : start + _DIGITS] for start in range(0, len(kept), _DIGITS))
    altered = []
    for path, fingerprint in _fingerprints(_unsealed(document)).items():
        if known[fingerprint]:
            known[fingerprint] -= 1
        else:
            altered.append(path)
    # An added or removed field alters what it is in, too: name the field if it is there.
    exact = [path for path in altered if not any(each != path and each.startswith(path) for each in altered)]
    return exact or [DIGEST]


def _unsealed(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in (DIGEST, FINGERPRINTS, SIGNATURE)}


def _fingerprints(content: Mapping[str, Any]) -> dict[str, str]:
    return {path: hashlib.sha256(canonical([path, value])).hexdigest()[:_DIGITS] for path, value in nodes(content)}

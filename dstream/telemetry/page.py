"""The page that shows the figures of a run in a browser: page.html, which reads /figures.json.

The page is one file, loads nothing from another host, and runs no script but its own: its policy allows the inline
script and style by hash only (https://www.w3.org/TR/CSP3/#source-list-syntax).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

from dstream.telemetry.figures import document
from dstream.telemetry.health import RunsWatch


@cache
def page() -> bytes:
    return files("dstream.telemetry").joinpath("page.html").read_bytes()


@cache
def page_headers() -> Mapping[str, str]:
    script, style = (_hash_of(name) for name in (b"script", b"style"))
    policy = (
        f"default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def page_figures(runs: RunsWatch) -> bytes:
    """Return the body of /figures.json, which is the page's own: it changes without notice."""
    return msgspec.json.encode(document(runs)) + b"\n"


def _hash_of(tag: bytes) -> str:
    found = re.search(b"<%s>(.*?)</%s>" % (tag, tag), page(), re.DOTALL)
    assert found
    return f"sha256-{base64.b64encode(hashlib.sha256(found[1]).digest()).decode()}"

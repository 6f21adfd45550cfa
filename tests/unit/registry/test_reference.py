"""The grammar of references."""

from __future__ import annotations

import pytest

from dstream.errors import ConfigError
from dstream.registry import Reference, parse_reference

DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ghcr.io/org/tides:v1", ("ghcr.io", "org/tides", "v1", "")),
        ("localhost:5000/tides:1.0_x-y", ("localhost:5000", "tides", "1.0_x-y", "")),
        ("localhost/tides:v1", ("localhost", "tides", "v1", "")),
        ("registry:5000/a/b__c/d-e.f:v1", ("registry:5000", "a/b__c/d-e.f", "v1", "")),
        (f"ghcr.io/org/tides@{DIGEST}", ("ghcr.io", "org/tides", "", DIGEST)),
        (f"ghcr.io/org/tides:v1@{DIGEST}", ("ghcr.io", "org/tides", "v1", DIGEST)),
    ],
)
def test_valid_references(text: str, parts: tuple[str, str, str, str]) -> None:
    reference = parse_reference(text)
    assert reference == Reference(*parts)
    assert str(reference) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tides",
        "tides:v1",
        "org/tides:v1",
        "ghcr.io/org/tides",
        "ghcr.io/org/tides:",
        "ghcr.io/Org/tides:v1",
        "ghcr.io/../tides:v1",
        "ghcr.io/org/tides:..",
        "ghcr.io/org/tides:v1/x",
        "ghcr.io//tides:v1",
        "https://ghcr.io/org/tides:v1",
        "user:password@ghcr.io/org/tides:v1",
        "ghcr.io/org/tides@sha256:12",
        "ghcr.io/org/tides:v1\n",
        f"ghcr.io/{'a' * 600}:v1",
    ],
)
def test_invalid_references(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_reference(text)
    assert caught.value.code == "registry.bad_reference"


def test_plain_http_is_for_this_machine_only() -> None:
    assert [parse_reference(f"{host}/x:v1").is_on_loopback for host in ("localhost:1", "127.0.0.1:1", "ghcr.io")] == [
        True,
        True,
        False,
    ]

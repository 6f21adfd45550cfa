"""docs/reference/sdk.md names every public class and function of the SDK."""

from __future__ import annotations

from pathlib import Path

import pytest

import dstream.sdk
import dstream.sdk.errors

PAGE = (Path(__file__).parent.parent.parent.parent / "docs" / "reference" / "sdk.md").read_text()


@pytest.mark.parametrize("name", [*dstream.sdk.__all__, *dstream.sdk.errors.__all__])
def test_every_public_name_is_on_the_page(name: str) -> None:
    if name != "DStreamError":  # the root of the error tree, which is never raised
        assert name in PAGE

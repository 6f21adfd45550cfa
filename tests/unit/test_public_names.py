"""What a package exports is deliberate: complete and sorted."""

from __future__ import annotations

from importlib import import_module

import pytest

PACKAGES = (
    "dstream.config",
    "dstream.host",
    "dstream.kit",
    "dstream.plugins",
    "dstream.sdk",
    "dstream.sdk.errors",
    "dstream.state",
)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_exported_name_exists_and_the_list_is_sorted(package: str) -> None:
    module = import_module(package)
    assert module.__all__ == sorted(module.__all__)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []

"""One registry for all tests of this folder; each test uses repositories of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.registry.oci_registry import Certificate, OciRegistry, certificate_of_localhost, executable


@pytest.fixture(scope="session")
def program() -> Path:
    path = executable()
    if path is None:
        pytest.skip("docker-registry is not installed; `make tools` installs it where there is apt")
    return path


@pytest.fixture(scope="session")
def registry(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OciRegistry]:
    """Plain HTTP, open to everybody."""
    registry = OciRegistry(program, tmp_path_factory.mktemp("registry"))
    yield registry
    registry.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate_of_localhost(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def private_registry(
    program: Path, certificate: Certificate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OciRegistry]:
    """TLS, and a login for everything."""
    registry = OciRegistry(program, tmp_path_factory.mktemp("private-registry"), certificate)
    yield registry
    registry.stop()

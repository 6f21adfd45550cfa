"""Which providers may start, by name and by digest, in the file and in the environment."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from dstream.errors import ConfigError, SourceLocation
from dstream.plugins import refuse_unlisted

PLACE = SourceLocation("dstream.hcl", 3)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "reader.py"
    path.write_text("print()")
    return path


def _is_allowed(
    provider: str | None, argv: Sequence[str], listed: Sequence[str] | None, environment: str | None = None
) -> bool:
    environ = {} if environment is None else {"DSTREAM_ALLOWED_PROVIDERS": environment}
    try:
        refuse_unlisted([provider] if provider else [], argv, listed, environ, place=PLACE)
    except ConfigError as error:
        return (error.code, error.place) != ("provider.not_allowed", PLACE)
    return True


def test_without_a_list_every_provider_may_start(program: Path) -> None:
    assert _is_allowed(None, [str(program)], None)


def test_a_list_names_providers(program: Path) -> None:
    assert _is_allowed("reader", [str(program)], ["writer", "reader"])
    assert not _is_allowed("reader", [str(program)], ["writer"])
    assert not _is_allowed("reader", [str(program)], [])


def test_a_path_is_not_allowed_by_a_name(program: Path) -> None:
    assert not _is_allowed(None, [sys.executable, str(program)], [str(program), program.name, "reader"])


def test_a_digest_allows_exactly_one_program(program: Path, tmp_path: Path) -> None:
    listed = [f"sha256:{hashlib.sha256(program.read_bytes()).hexdigest()}"]
    assert _is_allowed(None, [sys.executable, str(program)], listed)
    assert _is_allowed("reader", [str(program)], listed)
    assert not _is_allowed(None, [sys.executable, str(tmp_path)], listed)
    program.write_text("print(1)")
    assert not _is_allowed(None, [sys.executable, str(program)], listed)


def test_the_environment_restricts_what_the_file_allows_but_never_widens_it(program: Path) -> None:
    assert _is_allowed("reader", [str(program)], ["reader"], "writer, reader")
    assert _is_allowed("reader", [str(program)], None, "reader")
    assert not _is_allowed("reader", [str(program)], ["reader"], "writer")
    assert not _is_allowed("reader", [str(program)], ["writer"], "reader")
    assert not _is_allowed("reader", [str(program)], ["reader"], "")

"""dstream.lock.hcl: what is written can be read, and anything else is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from dstream.config import load
from dstream.errors import ConfigError
from dstream.plugins import Pin, read_lock, write_lock

DIGEST = f"sha256:{'0a' * 32}"
PINS = {
    "ghcr.io/org/winds:v2": Pin(DIGEST, {"linux_amd64": DIGEST}),
    "ghcr.io/org/tides:v1": Pin(DIGEST, {"linux_amd64": DIGEST, "darwin_arm64": DIGEST}),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dstream.lock.hcl"


def test_pins_are_read_as_written_and_sorted(path: Path) -> None:
    assert read_lock(path) is None
    write_lock(path, PINS)
    assert read_lock(path) == PINS
    text = path.read_text()
    assert text.endswith(
        f'\nprovider "ghcr.io/org/tides:v1" {{\n  manifest = "{DIGEST}"\n  platforms = {{\n'
        f'    darwin_arm64 = "{DIGEST}"\n    linux_amd64  = "{DIGEST}"\n  }}\n}}\n'
        f'\nprovider "ghcr.io/org/winds:v2" {{\n  manifest = "{DIGEST}"\n  platforms = {{\n'
        f'    linux_amd64 = "{DIGEST}"\n  }}\n}}\n'
    )
    write_lock(path, dict(reversed(PINS.items())))
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("provider {", 1),
        ("\nx = 1", 2),
        ('\ntask "x" {}', 2),
        ('provider "x" {}', 1),
        (f'provider "x" {{\n  manifest = "{DIGEST}"\n  platforms = []\n}}', 3),
        ('provider "x" {\n  manifest = "sha256:1"\n  platforms = {}\n}', 2),
        ('provider "x" {\n  manifest = env("X")\n  platforms = {}\n}', 2),
        (f'provider "x" {{\n  manifest = "{DIGEST}"\n  platforms = {{ "../x" = "{DIGEST}" }}\n}}', 3),
        (f'provider "x" {{\n  manifest = "{DIGEST}"\n  platforms = {{ linux_amd64 = 1 }}\n}}', 3),
        ("# " + "x" * 2**20, 1),
        ("x = " + "[" * 5000, 0),
    ],
)
def test_anything_else_is_refused(path: Path, text: str, line: int) -> None:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_lock(path)
    assert caught.value.code == "lock.invalid"
    assert caught.value.place is not None
    assert (caught.value.place.file, caught.value.place.line) == (str(path), line or caught.value.place.line)


def test_bytes_that_are_no_text_are_refused(path: Path) -> None:
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_lock(path)


def test_the_lock_file_of_a_folder_is_no_configuration(path: Path, tmp_path: Path) -> None:
    write_lock(path, PINS)
    (tmp_path / "a.hcl").write_text('task "a" {\n  input { provider = "x" }\n  output { provider = "y" }\n}\n')
    assert list(load(tmp_path, environ={}).tasks) == ["a"]

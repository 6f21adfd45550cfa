"""SHA-256 digests of Pulumi's archives, in files of lines `DIGEST  NAME`, as sha256sum and the releases write them."""

from __future__ import annotations

from pathlib import Path

ENGINE_DIGESTS = Path(__file__).with_name("engine-sha256.txt")
"""The releases of the tested version of the CLI, from Pulumi's own Homebrew formula (pulumi/homebrew-tap,
Formula/pulumi.rb); tools/install-pulumi reads it, too."""


def listed_digest(file: Path, name: str) -> str | None:
    """Return the digest of the archive; None if the file does not list it. Raises OSError."""
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, listed = line.partition(" ")
        if listed.strip().removeprefix("*") == name and len(digest) == 64:
            return digest.lower()
    return None

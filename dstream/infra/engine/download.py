"""Downloads the Pulumi CLI from its release and checks the archive's SHA-256. Runs no script."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

Fetch = Callable[[str, Path], None]
"""Writes what a URL answers to a file. Raises OSError."""

_RELEASE = "https://github.com/pulumi/pulumi/releases/download/v{version}/"
"""Where Pulumi's own installer looks first (pulumi/get.pulumi.com)."""
_CHECKSUMS = "pulumi-{version}-checksums.txt"
_ARCHIVE = "pulumi-v{version}-{platform}.tar.gz"
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_TIMEOUT_S = 60


class DownloadError(Exception):
    """The archive cannot be used; the text says why."""


def fetch(url: str, to: Path) -> None:
    """Download over HTTPS, through the proxy in HTTPS_PROXY if set. Raises OSError."""
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer, to.open("wb") as file:
        shutil.copyfileobj(answer, file)


def download_engine(version: str, folder: Path, fetch: Fetch = fetch) -> None:
    """Install the CLI in `folder`/bin; an incomplete `folder` is replaced. Raises DownloadError, OSError."""
    name = _ARCHIVE.format(version=version, platform=_platform())
    release = _RELEASE.format(version=version)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder.parent) as place:
        archive, checksums = Path(place, "archive"), Path(place, "checksums")
        fetch(release + _CHECKSUMS.format(version=version), checksums)
        expected = _expected(checksums, name)
        fetch(release + name, archive)
        with archive.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != expected:
            raise DownloadError(f"{name} has the SHA-256 {actual}, but its release lists {expected}")
        complete = Path(place, "complete")
        _unpack(archive, complete / "bin")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(complete, folder)


def _platform() -> str:
    machine = _MACHINES.get(platform.machine().lower())
    if sys.platform not in ("linux", "darwin") or machine is None:
        raise DownloadError(f"Pulumi has no release for {sys.platform} on {platform.machine()}")
    return f"{sys.platform}-{machine}"


def _expected(checksums: Path, name: str) -> str:
    """Return the digest in a line `SHA256  NAME`."""
    for line in checksums.read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, listed = line.partition(" ")
        if listed.strip().removeprefix("*") == name and len(digest) == 64:
            return digest.lower()
    raise DownloadError(f"the release lists no SHA-256 of {name}")


def _unpack(archive: Path, to: Path) -> None:
    """Extract the programs `pulumi/NAME`, and nothing else."""
    to.mkdir(parents=True)
    with tarfile.open(archive, "r:gz") as content:
        for member in content:
            folder, _, name = member.name.removeprefix("./").partition("/")
            if member.isfile() and folder == "pulumi" and name and "/" not in name and name != "..":
                file = content.extractfile(member)
                assert file is not None  # a regular file
                with file, (to / name).open("wb") as written:
                    shutil.copyfileobj(file, written)
                (to / name).chmod(0o755)
    if not (to / "pulumi").is_file():
        raise DownloadError("the archive contains no pulumi")
